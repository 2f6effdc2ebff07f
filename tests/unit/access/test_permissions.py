import pytest
from hypothesis import given, strategies as st

from meroid.access.permissions import (
    ADMIN,
    FORMS,
    JOIN_CONTEXT,
    NEW_IDENTITY,
    BadPermissionError,
    Permission,
    any_covers,
    covers,
    narrow,
    parse_permission,
    parse_permissions,
)

_names = st.one_of(st.none(), st.sampled_from(["a", "b"]))


@st.composite
def permissions(draw: st.DrawFn) -> Permission:
    path = draw(st.sampled_from(sorted(FORMS)))
    count = FORMS[path]
    parts = [draw(_names) if position < count else None for position in range(3)]
    permission = Permission(path=path, resource=parts[0], user=parts[1], method=parts[2])
    return permission.on("a") if permission.is_binding and permission.resource is None else permission


_lists = st.lists(permissions(), max_size=5)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("admin", "admin"),
        ("context:execute", "context:execute"),
        ("context:execute[ctx,me,set]", "context:execute[ctx,me,set]"),
        ("context:execute[,,set]", "context:execute[,,set]"),
        ("context[ctx,me]", "context[ctx,me]"),
        ("application:list[a,]", "application:list[a]"),
        ("context:list[ ctx ]", "context:list[ctx]"),
        ("keys:revoke", "keys:delete"),
        ("keys:clients", "keys:clients:list"),
        ("keys:permissions[k]", "keys:permissions:get[k]"),
        ("blob:add:stream", "blob:add:stream"),
        ("context:alias:create:identity[x]", "context:alias:create:identity[x]"),
    ],
)
def test_a_permission_is_read_and_written_in_one_form(text: str, same: str) -> None:
    assert str(parse_permission(text)) == same
    assert parse_permission(same) == parse_permission(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "admin:x",
        "admin[x]",
        "context",
        "context:",
        "context:execute[",
        "context:execute[ctx",
        "context:execute]",
        "context:execute[]",
        "context:execute[,]",
        "context:execute[,,]",
        "context:execute[a,b,c,d]",
        "context:list[a,b]",
        "context:execute[a]x",
        "context:execute[[a]]",
        "context:read:global",
        "context:execute:more",
        "context:identity",
        "context:join",
        "context:capabilities",
        "alias:create",
        "Admin",
        " admin",
        "admin\n",
        "context:list[a\n]",
        "context:list[ä]",
        "context:list[a>b]",
        "context:list[a?b]",
        "context:list[a~b]",
        "context:list[a b]",
        "context:list[" + "a" * 129 + "]",
        "x" * 600,
    ],
)
def test_anything_unclear_is_refused_and_never_read_as_something_wider(text: str) -> None:
    with pytest.raises(BadPermissionError):
        parse_permission(text)


def test_a_list_is_bounded_and_has_no_repetitions() -> None:
    assert parse_permissions(["admin", "admin"]) == (ADMIN,)
    with pytest.raises(BadPermissionError):
        parse_permissions(["admin"] * 65)


@given(permissions())
def test_the_text_form_is_read_back_as_the_same_permission(permission: Permission) -> None:
    assert parse_permission(str(permission)) == permission


@given(st.text(max_size=60))
def test_any_text_is_a_permission_or_refused(text: str) -> None:
    try:
        parsed = parse_permission(text)
    except BadPermissionError:
        return
    assert parse_permission(str(parsed)) == parsed


@given(permissions())
def test_covering_is_reflexive_and_admin_covers_all(permission: Permission) -> None:
    assert covers(permission, permission)
    assert covers(ADMIN, permission)


@given(permissions(), permissions(), permissions())
def test_covering_is_transitive(first: Permission, second: Permission, third: Permission) -> None:
    if covers(first, second) and covers(second, third):
        assert covers(first, third)


@given(permissions(), permissions())
def test_something_specific_never_covers_something_global(held: Permission, needed: Permission) -> None:
    if held.path == needed.path and held.resource is not None and needed.resource is None:
        assert not covers(held, needed)


@given(_lists, _lists, permissions())
def test_narrowing_never_allows_more(held: list[Permission], asked: list[Permission], needed: Permission) -> None:
    grants = [each for each in narrow(held, asked) if not each.is_binding]
    if not needed.is_binding and any_covers(grants, needed):
        assert any_covers(held, needed)
        assert any_covers(asked, needed)


@given(_lists, _lists)
def test_narrowing_keeps_every_binding(held: list[Permission], asked: list[Permission]) -> None:
    bindings = {each for each in (*held, *asked) if each.is_binding}
    assert bindings <= set(narrow(held, asked))


@given(_lists)
def test_narrowing_to_all_that_is_held_or_to_admin_changes_nothing(held: list[Permission]) -> None:
    assert set(narrow(held, held)) == set(held)
    assert set(narrow(held, [ADMIN])) == set(held)


@pytest.mark.parametrize(
    ("held", "needed", "expected"),
    [
        ("application", "application:install[x]", True),
        ("package", "package:list-versions[p]", True),
        ("blob:add", "blob:add:stream", True),
        ("blob:add:stream", "blob:add", False),
        ("keys:permissions:get", "keys:permissions:get[k]", True),
        ("context[ctx]", "context:list[ctx]", False),
        ("context:create[app]", "context:delete[app]", True),
        ("context:create[app]", "context:delete[other]", False),
        ("context:delete[app]", "context:create[app]", False),
        ("context:execute[ctx]", "context:list[ctx]", True),
        ("context:execute[ctx]", "context:list", False),
        ("context:execute", "context:invite[ctx]", True),
        ("context:execute", "blob:add:stream", True),
        ("context:execute[ctx]", "blob:add:stream", False),
        ("context:execute[ctx,me]", "context:execute[ctx,you]", False),
        ("context:execute[,,get]", "context:execute[ctx,me,set]", False),
        ("context:execute[,,get]", "context:execute", False),
        ("context:execute[,,get]", "context:invite", False),
        ("context:list", "context:execute", False),
        ("context:execute", "admin", False),
    ],
)
def test_what_covers_what(held: str, needed: str, expected: object) -> None:
    assert covers(parse_permission(held), parse_permission(needed)) is expected


@pytest.mark.parametrize("needed", [NEW_IDENTITY, JOIN_CONTEXT])
def test_who_may_execute_anywhere_may_make_identities_and_join(needed: Permission) -> None:
    assert covers(parse_permission("context:execute[app]"), needed)
    assert not covers(parse_permission("context:execute[app,,get]"), needed)
    assert not covers(parse_permission("context:list"), needed)
