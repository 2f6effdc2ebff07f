import pytest
from hypothesis import given, strategies as st

from meroid.access.decide import (
    NOT_YOUR_IDENTITY,
    OUTSIDE_BINDING,
    PERMISSION_DENIED,
    Allowed,
    Denied,
    Resource,
    decide,
)
from meroid.access.permissions import (
    ADMIN,
    LIST_CONTEXTS,
    NEW_IDENTITY,
    binding,
    narrow,
    parse_permission,
    parse_permissions,
)
from meroid.access.principal import Principal
from meroid.ids import AccountId, ApplicationId, ContextId
from meroid.keys.public import PublicKey

ACCOUNT, STRANGER = AccountId(b"a" * 32), AccountId(b"s" * 32)
HERE, ELSEWHERE = ContextId(b"h" * 32), ContextId(b"x" * 32)
APP, OTHER_APP = ApplicationId(b"p" * 32), ApplicationId(b"q" * 32)
ME, YOU = PublicKey(b"m" * 32), PublicKey(b"y" * 32)
CALL = Resource(context=HERE, application=APP, executor=ME, executor_account=ACCOUNT, method="set")
NEEDS = [
    parse_permission(text)
    for text in (
        "admin",
        "context:execute",
        "context:list",
        "context:create",
        "context:delete",
        "context:invite",
        "blob:get",
        "blob:add:stream",
        "application:list",
        "keys:list",
    )
] + [NEW_IDENTITY]


def holder(*held: str, bound: bool = False) -> Principal:
    extra = (binding(HERE, ME),) if bound else ()
    return Principal(
        subject="k",
        account_id=ACCOUNT,
        key_id="k",
        held=(*extra, *parse_permissions(held)),
        bound_context=HERE if bound else None,
        bound_executor=ME if bound else None,
    )


def may(principal: Principal, needed: str, resource: Resource) -> bool:
    return isinstance(decide(principal, parse_permission(needed), resource), Allowed)


def test_the_default_is_no() -> None:
    for needed in NEEDS:
        assert isinstance(decide(holder(), needed, Resource()), Denied)
        assert isinstance(decide(holder(), needed, CALL), Denied)


def test_the_node_itself_may_do_everything_as_its_own_identities() -> None:
    node = Principal.node(ACCOUNT)
    assert all(isinstance(decide(node, needed, CALL), Allowed) for needed in NEEDS)


def test_a_bracket_names_a_context_or_an_application() -> None:
    for scope in (str(HERE), str(APP)):
        assert may(holder(f"context:execute[{scope}]"), "context:execute", CALL)
    for scope in (str(ELSEWHERE), str(OTHER_APP)):
        assert not may(holder(f"context:execute[{scope}]"), "context:execute", CALL)


def test_an_execute_permission_is_limited_to_its_executor_and_method() -> None:
    assert may(holder(f"context:execute[{HERE},{ME},set]"), "context:execute", CALL)
    assert not may(holder(f"context:execute[{HERE},{YOU}]"), "context:execute", CALL)
    assert not may(holder("context:execute[,,get]"), "context:execute", CALL)


def test_a_list_is_filtered_rather_than_refused() -> None:
    narrow_holder = holder(f"context:execute[{APP}]")
    assert may(narrow_holder, "context:list", Resource())
    assert may(narrow_holder, "context:list", Resource(context=HERE, application=APP))
    assert not may(narrow_holder, "context:list", Resource(context=ELSEWHERE, application=OTHER_APP))
    assert not may(holder("blob"), "context:list", Resource())


def test_a_package_token_creates_lists_deletes_and_executes_in_its_application_only() -> None:
    token = holder(f"context:create[{APP}]", f"context:list[{APP}]", f"context:execute[{APP}]")
    mine, foreign = Resource(context=HERE, application=APP), Resource(context=ELSEWHERE, application=OTHER_APP)
    for needed in ("context:list", "context:execute", "context:delete", "context:invite", "blob:add:stream"):
        assert may(token, needed, mine), needed
        assert not may(token, needed, foreign), needed
    assert may(token, "context:create", Resource(application=APP))
    assert not may(token, "context:create", Resource(application=OTHER_APP))
    assert isinstance(decide(token, NEW_IDENTITY, Resource()), Allowed)


@pytest.mark.parametrize("needed", NEEDS, ids=str)
def test_a_bound_token_does_nothing_outside_its_context_even_with_admin(needed: object) -> None:
    bound = holder("admin", bound=True)
    verdict = decide(bound, needed, Resource(context=ELSEWHERE, executor=ME))  # type: ignore[arg-type]
    assert isinstance(verdict, Denied)
    assert verdict.code == OUTSIDE_BINDING


def test_a_bound_token_acts_as_its_executor_only() -> None:
    bound = holder("context:execute", bound=True)
    assert may(bound, "context:execute", CALL)
    verdict = decide(bound, parse_permission("context:execute"), Resource(context=HERE, executor=YOU))
    assert isinstance(verdict, Denied)
    assert verdict.code == OUTSIDE_BINDING


def test_a_bound_token_reads_its_context_and_nothing_that_names_none() -> None:
    bound = holder("context:execute", "admin", bound=True)
    assert may(bound, "context:list", Resource(context=HERE))
    assert may(bound, "context:list", Resource())  # filtered
    assert not isinstance(decide(bound, LIST_CONTEXTS, Resource(context=ELSEWHERE)), Allowed)
    for needed in ("context:create", "application:install", "keys:list", "admin", "blob:remove"):
        assert not may(bound, needed, Resource())


def test_a_binding_that_stands_in_the_permissions_alone_limits_as_well() -> None:
    token = holder("context:execute", f"context[{HERE},{ME}]")
    assert may(token, "context:execute", CALL)
    assert not may(token, "context:execute", Resource(context=ELSEWHERE))
    assert not may(token, "context:execute", Resource(context=HERE, executor=YOU))


def test_nobody_acts_as_an_identity_of_another_account() -> None:
    foreign = Resource(context=HERE, executor=YOU, executor_account=STRANGER)
    verdict = decide(holder("admin"), parse_permission("context:execute"), foreign)
    assert isinstance(verdict, Denied)
    assert verdict.code == NOT_YOUR_IDENTITY


def test_a_refusal_says_what_is_missing() -> None:
    verdict = decide(holder("context:list"), parse_permission("context:create"), Resource())
    assert verdict == Denied(PERMISSION_DENIED, "this token doesn't hold context:create")


_texts = st.lists(
    st.sampled_from(
        [
            "admin",
            "blob",
            "context:create",
            "context:execute",
            "context:list",
            f"context:execute[{HERE}]",
            f"context:execute[{APP},{ME}]",
            "context:execute[,,set]",
            f"context:list[{HERE}]",
            f"context:create[{APP}]",
            f"context[{HERE},{ME}]",
            f"context[{ELSEWHERE}]",
        ]
    ),
    max_size=4,
)
_resources = st.builds(
    Resource,
    context=st.sampled_from([None, HERE, ELSEWHERE]),
    application=st.sampled_from([None, APP, OTHER_APP]),
    executor=st.sampled_from([None, ME, YOU]),
    method=st.sampled_from([None, "set", "get"]),
)


@given(_texts, _texts, _resources, st.sampled_from(NEEDS))
def test_narrowing_a_principal_never_allows_more(
    held: list[str], asked: list[str], resource: Resource, needed: object
) -> None:
    wide = holder(*[each for each in held if not each.startswith("context[")])
    thin = Principal(subject="k", account_id=ACCOUNT, key_id="k", held=narrow(wide.held, parse_permissions(asked)))
    if isinstance(decide(thin, needed, resource), Allowed):  # type: ignore[arg-type]
        assert isinstance(decide(wide, needed, resource), Allowed)  # type: ignore[arg-type]


def test_a_log_in_is_fresh_for_five_minutes() -> None:
    principal = Principal(subject="k", account_id=ACCOUNT, key_id="k", held=(ADMIN,), fresh_login_at=1_000)
    assert principal.is_fresh(301_000)
    assert not principal.is_fresh(301_001)


def test_the_node_itself_needs_no_log_in() -> None:
    assert Principal.node(ACCOUNT).is_fresh(0)
