"""A node with a valid body for each of its routes, and what every refusal must leave as it is."""

from typing import Any

from hypothesis import HealthCheck
from tests.kv_store import kv_store_bytecode
from tests.served_node import ServedNode
from tests.servers import Got
from tests.trouble import trouble_bytecode

ID = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"  # 32 bytes of 1
FUEL = 100_000_000  # a tenth of a second
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MODULE_FIXTURES = [HealthCheck.function_scoped_fixture]
NOT_AN_ID: list[Any] = [5, None, [], {}, True, 1.5, 10**400, [1] * 32]
BAD_IDS = ["", "x", ID[:-1], f"{ID}11", f"{ID} ", f" {ID}", f"{ID}\n", f"{ID}\0", "0OIl" * 10, "é" * 40, "1" * 100_000]


class Target:
    """A node with a context, and a valid body for each of its routes."""

    def __init__(self, node: ServedNode) -> None:
        self.node = node
        self.application = node.install(kv_store_bytecode())
        self.member = node.create(self.application)
        self.trouble = node.create(node.install(trouble_bytecode(), "trouble.wasm"))
        self.victim = node.create(self.application)  # its members may lose what they have
        invitee = node.identity()
        body = {"contextId": self.member.context, "inviterId": self.member.key}
        self.payload: str = node.data("POST", "contexts/invite", {**body, "inviteeId": invitee})
        self.open = node.data("POST", "contexts/invite_by_open_invitation", {**body, "validForBlocks": 600})
        self.idle = node.identity()
        path = f"contexts/{self.member.context}/identities/link"
        self.link: str = node.data("POST", path, {"identity": self.member.key, "key": self.idle})["code"]

    def bodies(self) -> dict[str, dict[str, Any]]:
        """A body that is taken, by path; `{id}` stands for the context `victim`."""
        context, key = self.member.context, self.member.key
        pairs = {"capabilities": [[self.victim.key, "Read"]], "signer_id": self.victim.key}
        params = {"contextId": context, "executorPublicKey": key, "method": "entries", "argsJson": {}}
        return {
            "install-dev-application": {"path": str(self.node.folder / "module.wasm"), "metadata": [1]},
            "contexts": {"protocol": "near", "applicationId": self.application, "initializationParams": []},
            "contexts/invite": {"contextId": context, "inviterId": key, "inviteeId": self.idle},
            "contexts/invite_by_open_invitation": {"contextId": context, "inviterId": key, "validForBlocks": 5},
            "contexts/join": {"invitationPayload": self.payload},
            "contexts/join_by_open_invitation": {"invitation": self.open, "newMemberPublicKey": self.idle},
            "contexts/{id}/identities/rotate": {"identity": key},
            "contexts/{id}/identities/link": {"identity": self.victim.key},
            "contexts/{id}/identities/unlink": {"identity": self.victim.key, "key": self.idle},
            "contexts/link": {"code": self.link},
            "contexts/{id}/identities/resume": {},
            "account/prove": {"clientKey": key, "audience": "a", "expiresAt": 2**62},
            "account/delegations": {"clientKey": key},
            "account/delegations/end": {"serial": 2**40},
            "account/return": {},
            "contexts/{id}/capabilities/grant": pairs,
            "contexts/{id}/capabilities/revoke": pairs,
            "alias/create/context": {"alias": "a", "contextId": context},
            "alias/create/application": {"alias": "a", "applicationId": self.application},
            "alias/create/identity/{id}": {"alias": "a", "identity": key},
            "/jsonrpc": {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": params},
        }

    def post(self, path: str, body: Any, **more: Any) -> Got:
        return self.node.ask("POST", path.replace("{id}", self.victim.context), body, **more)

    def snapshot(self) -> object:
        """Everything that a refused request must leave as it is."""
        store = self.node.node.store
        aliases = [self.node.data("GET", f"alias/list/{scope}") for scope in ("context", "application")]
        return (
            self.node.data("GET", "contexts"),
            self.node.data("GET", "applications"),
            [*aliases, self.node.data("GET", f"alias/list/identity/{self.victim.context}")],
            [self.node.stored(member.context) for member in (self.member, self.trouble, self.victim)],
            store.read(lambda tx: len(tx.accounts.client_keys())),
            store.read(lambda tx: [tx.accounts.key_log(each.account_id) for each in tx.accounts.list()]),
        )


BODY_ROUTES = [
    "install-dev-application",
    "contexts",
    "contexts/invite",
    "contexts/invite_by_open_invitation",
    "contexts/join",
    "contexts/join_by_open_invitation",
    "contexts/{id}/identities/link",
    "contexts/{id}/identities/unlink",
    "contexts/link",
    "contexts/{id}/identities/resume",
    "account/prove",
    "account/delegations",
    "account/delegations/end",
    "account/return",
    "contexts/{id}/capabilities/grant",
    "contexts/{id}/capabilities/revoke",
    "alias/create/context",
    "alias/create/application",
    "alias/create/identity/{id}",
    "/jsonrpc",
]


def plain(got: Got, status: int, code: str, begins: str = "") -> None:
    """A refusal in plain text, with code and next step."""
    assert (got.status, got.code) == (status, code), got.text
    assert got.headers["content-type"].startswith("text/plain")
    assert got.text.startswith(begins)
    assert f"\ncode: {code}\nnext: " in got.text
