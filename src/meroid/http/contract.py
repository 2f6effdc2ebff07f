"""What an operation takes, gives and refuses: said at its handler, and shown by the OpenAPI document.

A test compares what handlers decode with what they say here, and every answer in the tests of the
routes with the document.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from meroid.http.exchange import ApiResponse
from meroid.service.refusals import RULE_CODES

H = TypeVar("H", bound=Callable[..., ApiResponse])

_NAME: Final = "__contract__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One operation.

    Attributes:
        takes: type of the JSON body, as msgspec knows types, or a tuple of them for one of these; `None` where any
            body, or none, will do.
        optional: the body may be missing.
        gives: type of what a success holds (inside the envelope, unless `bare`), or a tuple as above.
        bare: a success has no envelope.
        media: media type of a success, where it isn't JSON; then it has neither shape nor envelope.
        unchanged: 304 for who has the same answer already (`If-None-Match`).
        query: fields of the query by name, as JSON Schema.
        asks: the permission that the handler asks for, once it knows the resource.
        refuses: codes of refusals, separated by spaces, beside those that every operation has.
        refuses_as: codes that this operation answers with another status than theirs.
    """

    takes: object = None
    optional: bool = False
    gives: object = None
    bare: bool = False
    media: str | None = None
    unchanged: bool = False
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asks: str = ""
    refuses: str = ""
    refuses_as: Mapping[int, str] = field(default_factory=dict)


def speaks(
    *,
    takes: object = None,
    optional: bool = False,
    gives: object = None,
    bare: bool = False,
    media: str | None = None,
    unchanged: bool = False,
    query: Mapping[str, Mapping[str, Any]] | None = None,
    asks: str = "",
    refuses: str = "",
    refuses_as: Mapping[int, str] | None = None,
) -> Callable[[H], H]:
    """Say what a handler takes, gives and refuses; the fields are those of `Contract`."""
    contract = Contract(
        takes=takes,
        optional=optional,
        gives=gives,
        bare=bare,
        media=media,
        unchanged=unchanged,
        query=query or {},
        asks=asks,
        refuses=refuses,
        refuses_as=refuses_as or {},
    )

    def declare(handler: H) -> H:
        setattr(handler, _NAME, contract)
        return handler

    return declare


def contract_of(handler: Callable[..., ApiResponse]) -> Contract | None:
    """What a handler says; nothing if it says nothing."""
    found = getattr(handler, _NAME, None)
    return found if isinstance(found, Contract) else None


FLAG: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|1|0)$",
    "default": "false",
}
"""A field of the query that is true or false, in any letter case."""

READS: Final = "context_not_found"
"""Codes of operations that read in one context."""

WRITES: Final = " ".join(
    [
        READS,
        "not_your_identity not_a_member membership_ended membership_suspended key_rotated key_unlinked lacks_capability",
        "restored_unsynced missing_ancestors broken_chain operation_too_large bad_delta_payload too_many_pending",
        "uninitialized application_not_installed context_reopened bad_public_key",
        *RULE_CODES,
    ]
)
"""Codes of operations that sign something in one context, the rules' own among them."""

ENTERS: Final = f"identity_bound identity_restored not_let_in peer_refused peer_unreachable bad_peer_answer {WRITES}"
"""Codes of operations that bring a key into a context."""

POSSESSION: Final = "proof_required bad_dpop_proof proof_unjudged"
"""Codes where a request has to prove a key."""

COMING: Final = " ".join(
    [
        "wrong_login_code login_code_used login_code_expired login_code_withdrawn other_user_name",
        "sign_up_closed sign_up_throttled too_many_accounts",
    ]
)
"""Codes of log-ins that redeem a link or sign up."""

PROOFS: Final = " ".join(
    [
        "unsupported_method bad_provider_data bad_challenge challenge_expired challenge_used wrong_credentials",
        "login_throttled login_busy weak_password invalid_token",
        "bad_near_key near_key_unsupported near_key_unknown near_function_call_key near_wrong_recipient",
        "near_wrong_signature near_not_configured near_unreachable near_rate_limited",
        "passkey_refused passkey_copied wrong_key_signature account_needs_more_keys account_key_retired",
    ]
)
"""Codes of operations that check the proof of a root key."""
