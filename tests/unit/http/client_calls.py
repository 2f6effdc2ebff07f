"""Every call of the existing clients, and which of the tokens that their log-ins mint may make it.

From `wire/clients.md` §1 and §2 and `wire/auth.md` §1.5, §4.5 and §6.3. In paths and bodies `{one}` is a context of
the application `{app}`, `{two}` one of `{second}`; `{key}` and `{key2}` are the owner's identities in them. `{root}` is
the owner's only root key, and `{minted}` a key that was minted just now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

UNKNOWN: Final = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"  # 32 bytes of 1
NODE_ISSUE: Final = 5  # "The node": brings what existing clients call and isn't there yet

ROOT: Final = "root"  # the log-in page's own
ADMIN: Final = "admin"  # minted by its admin flow
MULTI: Final = "multi"  # multi-context
SINGLE: Final = "single"  # bound to one context and identity
PACKAGE: Final = "package"  # the package flow writes the application into every `context:*`
SERVICE: Final = "service"  # a script's, for one context
PERSON: Final = "person"  # another account of the node

KINDS: Final = frozenset({ROOT, ADMIN, MULTI, SINGLE, PACKAGE, SERVICE, PERSON})
ALL_POWER: Final = frozenset({ROOT, ADMIN})
IN_BOTH: Final = ALL_POWER | {MULTI}
IN_ONE: Final = IN_BOTH | {SINGLE, PACKAGE, SERVICE}
MAKES: Final = IN_BOTH | {PACKAGE, PERSON}
UNBOUND: Final = IN_BOTH | {PACKAGE, SERVICE, PERSON}
KEEPS_KEYS: Final = ALL_POWER | {PERSON}  # their own ones
NOBODY: Final = frozenset[str]()


@dataclass(frozen=True, kw_only=True)
class ClientCall:
    """One call; a token kind that is neither `allowed` nor in `absent` (where nothing is there for it) is denied.

    With `issue` the route isn't there yet, and the mark goes when that issue brings it.
    """

    client: str
    name: str
    method: str
    path: str
    body: Any = None
    allowed: frozenset[str] = ALL_POWER
    absent: frozenset[str] = NOBODY
    issue: int | None = None


def js(name: str, method: str, path: str, body: Any = None, **more: Any) -> ClientCall:
    return ClientCall(client="javascript", name=name, method=method, path=path, body=body, **more)


def page(name: str, method: str, path: str, body: Any = None, **more: Any) -> ClientCall:
    return ClientCall(client="log-in page", name=name, method=method, path=path, body=body, **more)


def py(name: str, method: str, path: str, body: Any = None, **more: Any) -> ClientCall:
    return ClientCall(client="python", name=name, method=method, path=path, body=body, **more)


def creating(application: str) -> Mapping[str, Any]:
    # the same seed twice is refused, so nothing is made here but the first time
    return {"protocol": "near", "applicationId": application, "contextSeed": UNKNOWN, "initializationParams": []}


def calling(context: str, key: str, method: str = "get") -> Mapping[str, Any]:
    params = {"contextId": context, "method": method, "argsJson": {"key": "a", "value": "b"}, "executorPublicKey": key}
    return {"jsonrpc": "2.0", "id": "1", "method": "execute", "params": {**params, "substitute": []}}


def inviting(context: str, key: str, **more: Any) -> Mapping[str, Any]:
    return {"contextId": context, "inviterId": key, **more}


LATER: Final = {"issue": NODE_ISSUE}
READ: Final = {"allowed": IN_ONE, "absent": frozenset({PERSON})}
READ_TWO: Final = {"allowed": IN_BOTH, "absent": frozenset({PERSON})}

CALLS: Final[tuple[ClientCall, ...]] = (
    # the JavaScript package
    js("is it authed", "GET", "/admin-api/is-authed", allowed=KINDS),
    js("its contexts", "GET", "/admin-api/contexts", allowed=KINDS),
    js("create", "POST", "/admin-api/contexts", creating("{app}"), allowed=MAKES),
    js("create for another application", "POST", "/admin-api/contexts", creating("{second}"), allowed=MAKES - {PACKAGE}),
    js("one context", "GET", "/admin-api/contexts/{one}", **READ),
    js("another context", "GET", "/admin-api/contexts/{two}", **READ_TWO),
    js("own identities", "GET", "/admin-api/contexts/{one}/identities-owned", **READ),
    js("own identities elsewhere", "GET", "/admin-api/contexts/{two}/identities-owned", **READ_TWO),
    js("new identity", "POST", "/admin-api/identity/context", {}, allowed=UNBOUND),
    js("invite", "POST", "/admin-api/contexts/invite", inviting("{one}", "{key}", inviteeId=UNKNOWN), allowed=IN_ONE),
    js("invite to another", "POST", "/admin-api/contexts/invite", inviting("{two}", "{key2}", inviteeId=UNKNOWN), allowed=IN_BOTH),
    js("join", "POST", "/admin-api/contexts/join", {"invitationPayload": "x"}, allowed=UNBOUND),
    js("invite openly", "POST", "/admin-api/contexts/invite_by_open_invitation", inviting("{one}", "{key}", validForBlocks=1), allowed=IN_ONE),
    js("join openly", "POST", "/admin-api/contexts/join_by_open_invitation", {}, allowed=UNBOUND),
    js("call", "POST", "/jsonrpc", calling("{one}", "{key}"), allowed=IN_ONE),
    js("call that writes", "POST", "/jsonrpc", calling("{one}", "{key}", "set"), allowed=IN_ONE),
    js("call another", "POST", "/jsonrpc", calling("{two}", "{key2}"), allowed=IN_BOTH),
    js("delete", "DELETE", "/admin-api/contexts/{one}", **LATER),
    js("put a blob", "PUT", "/admin-api/blobs", {}, **LATER),
    js("list blobs", "GET", "/admin-api/blobs", **LATER),
    js("head of a blob", "HEAD", "/admin-api/blobs/{one}", **LATER),
    js("get a blob", "GET", "/admin-api/blobs/{one}", **LATER),
    js("delete a blob", "DELETE", "/admin-api/blobs/{one}", **LATER),
    js("events", "GET", "/sse", **LATER),
    js("subscribe to events", "POST", "/sse/subscription", {}, **LATER),
    js("root keys", "GET", "/admin/keys", allowed=KEEPS_KEYS),
    js("minted keys", "GET", "/admin/keys/clients", allowed=KEEPS_KEYS),
    js("add a root key", "POST", "/admin/keys", {"public_key": "x", "auth_method": "x", "provider_data": {}}, allowed=KEEPS_KEYS),
    js("remove a root key", "DELETE", "/admin/keys/{root}", absent=frozenset({PERSON})),
    js("remove a minted key", "DELETE", "/admin/keys/{root}/clients/{minted}", absent=frozenset({PERSON})),
    js("change what a key may", "PUT", "/admin/keys/{minted}/permissions", {"add": ["context:list"]}),
    # the log-in page, with its root token
    page("mint", "POST", "/admin/client-key", {"permissions": ["keys:list"]}),
    page("newest version", "GET", "/admin-api/packages/com.example.app/latest", **LATER),
    page("install", "POST", "/admin-api/install-application", {"url": "http://127.0.0.1/", "metadata": []}, **LATER),
    page("contexts of an application", "GET", "/admin-api/contexts/for-application/{app}", **LATER),
    page("with executors", "GET", "/admin-api/contexts/with-executors/for-application/{app}", **LATER),
    page("one application", "GET", "/admin-api/applications/{app}"),
    page("revoke", "POST", "/admin/revoke", {"client_id": "{minted}"}, absent=frozenset({PERSON})),
    page("what this is", "GET", "/admin/identity", allowed=KINDS),
    # the Python client
    py("health", "GET", "/admin-api/health", allowed=KINDS),
    py("list_applications", "GET", "/admin-api/applications"),
    py("get_application", "GET", "/admin-api/applications/{app}"),
    py("install_dev_application", "POST", "/admin-api/install-dev-application", {"path": "/none", "metadata": []}),
    py("uninstall_application", "DELETE", f"/admin-api/applications/{UNKNOWN}"),
    py("get_peers_count", "GET", "/admin-api/peers"),
    py("get_context_identities", "GET", "/admin-api/contexts/{one}/identities", **READ),
    py("sync_context", "POST", "/admin-api/contexts/sync/{one}", **READ),
    py("sync_context, another", "POST", "/admin-api/contexts/sync/{two}", **READ_TWO),
    py("sync_all_contexts", "POST", "/admin-api/contexts/sync", allowed=KINDS),
    py("grant_permissions", "POST", "/admin-api/contexts/{one}/capabilities/grant", [[UNKNOWN, "Proxy"]]),
    py("revoke_permissions", "POST", "/admin-api/contexts/{one}/capabilities/revoke", [[UNKNOWN, "Proxy"]]),
    py("create_context_alias", "POST", "/admin-api/alias/create/context", {"alias": "a", "contextId": "{one}"}),
    py("create_application_alias", "POST", "/admin-api/alias/create/application", {"alias": "a", "applicationId": "{app}"}),
    py("create_context_identity_alias", "POST", "/admin-api/alias/create/identity/{one}", {"alias": "a", "identity": "{key}"}),
    py("delete_context_alias", "POST", "/admin-api/alias/delete/context/b"),
    py("delete_application_alias", "POST", "/admin-api/alias/delete/application/b"),
    py("delete_context_identity_alias", "POST", "/admin-api/alias/delete/identity/{one}/b"),
    py("list_context_aliases", "GET", "/admin-api/alias/list/context"),
    py("list_application_aliases", "GET", "/admin-api/alias/list/application"),
    py("list_context_identity_aliases", "GET", "/admin-api/alias/list/identity/{one}"),
    py("lookup_context_alias", "POST", "/admin-api/alias/lookup/context/b"),
    py("lookup_application_alias", "POST", "/admin-api/alias/lookup/application/b"),
    py("lookup_context_identity_alias", "POST", "/admin-api/alias/lookup/identity/{one}/b"),
    py("get_context_storage", "GET", "/admin-api/contexts/{one}/storage", **LATER),
    py("get_context_client_keys", "GET", "/admin-api/contexts/{one}/client-keys", **LATER),
    py("update_context_application", "POST", "/admin-api/contexts/{one}/application", {}, **LATER),
    py("list_proposals", "POST", "/admin-api/contexts/{one}/proposals", **LATER),
    py("get_proposal", "GET", "/admin-api/contexts/{one}/proposals/{key}", **LATER),
    py("get_proposal_approvers", "GET", "/admin-api/contexts/{one}/proposals/{key}/approvals/users", **LATER),
    py("create_and_approve_proposal", "POST", "/admin-api/contexts/{one}/proposals/create-and-approve", {}, **LATER),
    py("approve_proposal", "POST", "/admin-api/contexts/{one}/proposals/approve", {}, **LATER),
)  # fmt: skip
