"""Three people, each at a node of its own, and contexts that they share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.kv_store import SOURCE, kv_store_bytecode
from tests.processes import Merod, Owner, eventually, initialise, start, stop

TRACES: Final = ("Traceback", '"level": "error"', '"level":"error"')


@dataclass(frozen=True, slots=True)
class Shared:
    """A context and the identities of its members; the founder made it and invited the others."""

    context_id: str
    founder: str
    laptop: str
    phone: str


LAPTOP_OWNER: Final = Owner("lena", "a password of lena's")


class ThreeNodes:
    """The founder, the laptop (which most tests remove) and the phone (which stays).

    The laptop's node is in embedded mode, where tokens count, and its owner is logged in; the
    others are in proxy mode.
    """

    def __init__(self, folder: Path) -> None:
        self.founder = Merod("founder-node", folder / "founder")
        self.laptop = Merod("laptop-node", folder / "laptop", owner=LAPTOP_OWNER, neighbours=[self.founder])
        self.phone = Merod("phone-node", folder / "phone", neighbours=[self.founder])
        self.all = (self.founder, self.laptop, self.phone)
        self.application_id = ""

    def open(self) -> None:
        """Make and start the nodes, with the application on the founder's."""
        initialise(*self.all)
        start(*self.all)
        self.laptop.log_in()
        self.application_id = install_kv_store(self.founder)

    def close(self) -> None:
        """Stop the nodes; a fault that only their logs tell of is a failure too."""
        stop(*(node for node in self.all if node.running))
        for node in self.all:
            faults = [line for line in node.log.splitlines() if any(trace in line for trace in TRACES)]
            assert not faults, f"the log of {node.name} tells of faults:\n{node.log}"

    def wait_until_connected(self) -> None:
        """Each node has links to the two others; after a restart that takes a moment."""
        others = len(self.all) - 1
        eventually(lambda: all(peers(node) >= others for node in self.all), "each node is connected to the others")

    def share(self) -> Shared:
        """A new context of the founder that laptop and phone join; all three see each other and its state."""
        start(*(node for node in self.all if not node.running))  # what a test that failed left behind
        self.wait_until_connected()
        made = create_context(self.founder, self.application_id)
        context_id, founder = made["contextId"], made["memberPublicKey"]
        laptop = bring_in(self.founder, founder, context_id, self.laptop)
        phone = bring_in(self.founder, founder, context_id, self.phone)
        eventually(lambda: all(len(members(node, context_id)) == 3 for node in self.all), "all know all members")
        return Shared(context_id, founder, laptop, phone)


def peers(node: Merod) -> int:
    """How many nodes it is connected to."""
    got = node.ask("GET", "/admin-api/peers")
    return int(got.json["count"])


def install_kv_store(node: Merod) -> str:
    """Install the sample application; its id."""
    kv_store_bytecode()
    path = SOURCE / "build" / "kv_store.wasm"
    answer = node.data("POST", "/admin-api/install-dev-application", {"path": str(path), "metadata": []})
    return str(answer["applicationId"])


def create_context(node: Merod, application_id: str) -> Any:
    """A new context; its id and the founder's key."""
    body = {"protocol": "near", "applicationId": application_id, "initializationParams": []}
    return node.data("POST", "/admin-api/contexts", body)


def new_identity(node: Merod) -> str:
    """A new client key that is bound to no context yet."""
    return str(node.data("POST", "/admin-api/identity/context")["publicKey"])


def invite(node: Merod, inviter: str, context_id: str, invitee: str) -> str:
    """An invitation for a key."""
    body = {"contextId": context_id, "inviterId": inviter, "inviteeId": invitee}
    return str(node.data("POST", "/admin-api/contexts/invite", body))


def invite_openly(node: Merod, inviter: str, context_id: str) -> Any:
    """An invitation for whoever holds it."""
    body = {"contextId": context_id, "inviterId": inviter, "validForBlocks": 1000}
    return node.data("POST", "/admin-api/contexts/invite_by_open_invitation", body)


def join(node: Merod, invitation: str) -> None:
    """Take an invitation."""
    body = {"invitationPayload": invitation}
    got = node.ask("POST", "/admin-api/contexts/join", body)
    assert got.status == 200, f"joining at {node.name}: {got.status} {got.text}"


def bring_in(host: Merod, inviter: str, context_id: str, guest: Merod) -> str:
    """A new identity of the guest, invited and joined; its key."""
    key = new_identity(guest)
    join(guest, invite(host, inviter, context_id, key))
    return key


def remove(node: Merod, signer: str, context_id: str, member: str) -> None:
    """End a membership."""
    body = {"capabilities": [[member, "Member"]], "signer_id": signer}
    node.data("POST", f"/admin-api/contexts/{context_id}/capabilities/revoke", body)


def grant(node: Merod, signer: str, context_id: str, member: str, capability: str) -> None:
    """Give a capability."""
    body = {"capabilities": [[member, capability]], "signer_id": signer}
    node.data("POST", f"/admin-api/contexts/{context_id}/capabilities/grant", body)


def members(node: Merod, context_id: str) -> list[str]:
    """The keys of the current members, as a node sees them."""
    return list(node.data("GET", f"/admin-api/contexts/{context_id}/identities")["identities"])


def context(node: Merod, context_id: str) -> Any:
    """The context, as a node sees it: root hash and heads among others."""
    return node.data("GET", f"/admin-api/contexts/{context_id}")


def root_hash(node: Merod, context_id: str) -> str:
    """The hash of the application's state."""
    return str(context(node, context_id)["rootHash"])


def agree(context_id: str, *nodes: Merod) -> None:
    """Wait until nodes have the same state of a context."""
    eventually(lambda: len({root_hash(node, context_id) for node in nodes}) == 1, "they have the same state")
