"""The routes of a node by name (`wire/node.md` §1-§2): one method per request, answers as decoded JSON.

Ids are base58 texts and are put into paths percent-encoded; what they mean is checked by the node.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from urllib.parse import quote, urlencode

from meroid.client.exchange import Request, Response, check_status, json_request
from meroid.client.node import NodeClient
from meroid.client.tokens import TokenPair
from meroid.client.transport import BLOB_BYTES

_ADMIN = "admin-api"


class AliasScope(StrEnum):
    """What an alias names; an identity alias belongs to one context."""

    CONTEXT = "context"
    APPLICATION = "application"
    IDENTITY = "identity"


_ALIAS_VALUE = {
    AliasScope.CONTEXT: "contextId",
    AliasScope.APPLICATION: "applicationId",
    AliasScope.IDENTITY: "identity",
}


def _path(*parts: str) -> str:
    return "/".join([_ADMIN, *(quote(part, safe="") for part in parts)])


def _query(context_id: str | None) -> str:
    return "" if context_id is None else f"?context_id={quote(context_id, safe='')}"


class NodeRoutes:
    """Every request that meroctl and the Python client make."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client

    # --- service and tokens

    def peers(self) -> object:
        return self.client.get(_path("peers"))

    def request_token(self, body: Mapping[str, object]) -> Response:
        return self.client.exchange(json_request("POST", "auth/token", dict(body)))

    def log_out(self, tokens: TokenPair) -> Response:
        """Tell the node to end the log-in behind these tokens, which needn't be those that are kept."""
        body = {} if tokens.refresh_token is None else {"refresh_token": tokens.refresh_token}
        return self.client.exchange(json_request("POST", "auth/logout", body).with_bearer(tokens.access_token))

    def providers(self) -> Response:
        return self.client.exchange(Request(method="GET", path="auth/providers"))

    def challenge(self, method: str) -> object:
        return self.client.get(f"auth/challenge?method={quote(method, safe='')}")

    # --- audit trail

    def audit(self, query: Mapping[str, str]) -> object:
        """A page of events."""
        return self.client.get(f"admin/audit?{urlencode(query)}")

    def audit_head(self) -> object:
        return self.client.get("admin/audit/head")

    def key_set(self) -> object:
        """The keys that the node signs tokens and statements with."""
        return self.client.get("auth/jwks.json")

    # --- root keys

    def root_keys(self, *, every: bool) -> object:
        """The root keys of the caller's account, or for `admin` those of all."""
        return self.client.get("admin/keys?all=true" if every else "admin/keys")

    def bind_root_key(self, body: Mapping[str, object]) -> object:
        return self.client.post("admin/keys", dict(body))

    def remove_root_key(self, key_id: str, *, force: bool) -> object:
        path = f"admin/keys/{quote(key_id, safe='')}"
        return self.client.delete(f"{path}?force=true" if force else path)

    def change_password(self, key_id: str, body: Mapping[str, object]) -> object:
        return self.client.put_json(f"admin/keys/{quote(key_id, safe='')}/password", dict(body))

    # --- minted keys

    def minted_keys(self) -> object:
        return self.client.get("admin/keys/clients")

    def mint(self, body: Mapping[str, object]) -> object:
        return self.client.post("admin/client-key", dict(body))

    def remove_minted_key(self, root_key_id: str, client_id: str) -> object:
        return self.client.delete(f"admin/keys/{quote(root_key_id, safe='')}/clients/{quote(client_id, safe='')}")

    def validate_token(self) -> Response:
        return self.client.exchange(Request(method="GET", path="auth/validate"))

    # --- applications

    def applications(self) -> object:
        return self.client.get(_path("applications"))

    def application(self, application_id: str) -> object:
        return self.client.get(_path("applications", application_id))

    def install_application(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("install-application"), dict(body))

    def install_dev_application(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("install-dev-application"), dict(body))

    def uninstall_application(self, application_id: str) -> object:
        return self.client.delete(_path("applications", application_id))

    # --- blobs

    def upload_blob(self, data: bytes, context_id: str | None) -> object:
        return self.client.put(_path("blobs") + _query(context_id), data)

    def download_blob(self, blob_id: str, context_id: str | None) -> bytes:
        return self.client.get_bytes(_path("blobs", blob_id) + _query(context_id), limit=BLOB_BYTES)

    def blobs(self) -> object:
        return self.client.get(_path("blobs"))

    def blob_headers(self, blob_id: str) -> Mapping[str, str]:
        response = self.client.exchange(Request(method="HEAD", path=_path("blobs", blob_id)))
        check_status(response)
        return response.headers

    def delete_blob(self, blob_id: str) -> object:
        return self.client.delete(_path("blobs", blob_id))

    # --- contexts

    def contexts(self) -> object:
        return self.client.get(_path("contexts"))

    def context(self, context_id: str) -> object:
        return self.client.get(_path("contexts", context_id))

    def create_context(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts"), dict(body))

    def delete_context(self, context_id: str) -> object:
        return self.client.delete(_path("contexts", context_id))

    def context_storage(self, context_id: str) -> object:
        return self.client.get(_path("contexts", context_id, "storage"))

    def context_client_keys(self, context_id: str) -> object:
        return self.client.get(_path("contexts", context_id, "client-keys"))

    def context_members(self, context_id: str) -> object:
        return self.client.get(_path("contexts", context_id, "members"))

    def context_identities(self, context_id: str, *, owned: bool = False) -> object:
        return self.client.get(_path("contexts", context_id, "identities-owned" if owned else "identities"))

    def rotate_identity(self, context_id: str, identity: str) -> object:
        return self.client.post(_path("contexts", context_id, "identities", "rotate"), {"identity": identity})

    def show_identity(self, context_id: str, identity: str) -> object:
        return self.client.get(_path("contexts", context_id, "identities", identity))

    def offer_link(self, context_id: str, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", context_id, "identities", "link"), dict(body))

    def take_link(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", "link"), dict(body))

    def unlink_identity(self, context_id: str, identity: str, key: str) -> object:
        body = {"identity": identity, "key": key}
        return self.client.post(_path("contexts", context_id, "identities", "unlink"), body)

    def sync_context(self, context_id: str | None) -> object:
        """Ask the node to synchronise one context, or with None all of them."""
        return self.client.post(_path("contexts", "sync", *([] if context_id is None else [context_id])))

    def update_context_application(self, context_id: str, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", context_id, "application"), dict(body))

    # --- the caller's account

    def account(self) -> object:
        return self.client.get(_path("account"))

    def client_keys(self) -> object:
        return self.client.get(_path("account", "client-keys"))

    def key_log(self) -> object:
        return self.client.get(_path("account", "key-log"))

    def rotate_account(self) -> object:
        return self.client.post(_path("account", "rotate"))

    def prove(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("account", "prove"), dict(body))

    def delegate(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("account", "delegations"), dict(body))

    def end_delegation(self, serial: int) -> object:
        return self.client.post(_path("account", "delegations", "end"), {"serial": serial})

    def come_back(self, addresses: Sequence[str]) -> object:
        return self.client.post(_path("account", "return"), {"addresses": list(addresses)})

    def accounts(self) -> object:
        return self.client.get(_path("accounts"))

    def disable_account(self, account_id: str) -> object:
        return self.client.post(_path("accounts", account_id, "disable"))

    def enable_account(self, account_id: str) -> object:
        return self.client.post(_path("accounts", account_id, "enable"))

    # --- more people on one node

    def invite_person(self, body: Mapping[str, object]) -> object:
        return self.client.post("admin/accounts", dict(body))

    def make_link(self, account_id: str, body: Mapping[str, object]) -> object:
        return self.client.post(f"admin/accounts/{quote(account_id, safe='')}/link", dict(body))

    def login_links(self) -> object:
        return self.client.get("admin/links")

    def withdraw_link(self, link_id: str) -> object:
        return self.client.delete(f"admin/links/{quote(link_id, safe='')}")

    def see_link(self, code: str) -> object:
        return self.client.post("auth/link", {"code": code})

    # --- identities, inviting and joining

    def resume_identity(self, context_id: str, *, force: bool) -> object:
        return self.client.post(_path("contexts", context_id, "identities", "resume"), {"force": force})

    def generate_identity(self) -> object:
        return self.client.post(_path("identity", "context"))

    def invite(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", "invite"), dict(body))

    def join(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", "join"), dict(body))

    def invite_open(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", "invite_by_open_invitation"), dict(body))

    def join_open(self, body: Mapping[str, object]) -> object:
        return self.client.post(_path("contexts", "join_by_open_invitation"), dict(body))

    # --- capabilities

    def grant(self, context_id: str, body: object) -> object:
        """Give capabilities; the body is the object with `signer_id`, or the bare list of pairs."""
        return self.client.post(_path("contexts", context_id, "capabilities", "grant"), body)

    def revoke(self, context_id: str, body: object) -> object:
        """Take capabilities, or with `Member` the membership; body as for `grant`."""
        return self.client.post(_path("contexts", context_id, "capabilities", "revoke"), body)

    # --- aliases

    def create_alias(self, scope: AliasScope, alias: str, value: str, context_id: str | None = None) -> object:
        tail = self._alias_tail(scope, context_id)
        return self.client.post(_path("alias", "create", *tail), {"alias": alias, _ALIAS_VALUE[scope]: value})

    def lookup_alias(self, scope: AliasScope, alias: str, context_id: str | None = None) -> object:
        return self.client.post(_path("alias", "lookup", *self._alias_tail(scope, context_id), alias))

    def delete_alias(self, scope: AliasScope, alias: str, context_id: str | None = None) -> object:
        return self.client.post(_path("alias", "delete", *self._alias_tail(scope, context_id), alias))

    def aliases(self, scope: AliasScope, context_id: str | None = None) -> object:
        return self.client.get(_path("alias", "list", *self._alias_tail(scope, context_id)))

    @staticmethod
    def _alias_tail(scope: AliasScope, context_id: str | None) -> list[str]:
        return [scope.value] if context_id is None else [scope.value, context_id]

    # --- proposals

    def proposals(self, context_id: str, body: object) -> object:
        return self.client.post(_path("contexts", context_id, "proposals"), body)

    def proposal(self, context_id: str, proposal_id: str) -> object:
        return self.client.get(_path("contexts", context_id, "proposals", proposal_id))

    def proposal_approvers(self, context_id: str, proposal_id: str) -> object:
        return self.client.get(_path("contexts", context_id, "proposals", proposal_id, "approvals", "users"))

    def create_proposal(self, context_id: str, body: object) -> object:
        return self.client.post(_path("contexts", context_id, "proposals", "create-and-approve"), body)

    def approve_proposal(self, context_id: str, body: object) -> object:
        return self.client.post(_path("contexts", context_id, "proposals", "approve"), body)

    # --- calls

    def execute(self, body: Mapping[str, object]) -> object:
        """A JSON-RPC call; a failed call is an answer with `error`, not an exception."""
        return self.client.post("jsonrpc", dict(body))
