"""What every act of the story needs: the three machines, the narrator, and the names of what was made."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.life.commands import Meroctl
from examples.life.events import Heard, Watcher
from examples.life.machines import Machine, StoryError
from examples.life.narrator import Narrator, Step, telling

from meroid.client.answers import items_at, text_at
from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey

EXAMPLES: Final = Path(__file__).resolve().parents[1]
APPLICATION: Final = EXAMPLES / "kv-store" / "build" / "kv_store.wasm"
PEOPLE: Final = (("ada", "node1"), ("ben", "node2"), ("cleo", "node3"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The three machines and where their story is told."""

    narrator: Narrator
    ada: Machine
    ben: Machine
    cleo: Machine

    @property
    def machines(self) -> list[Machine]:
        """All three."""
        return [self.ada, self.ben, self.cleo]

    @contextmanager
    def step(self, number: str, title: str) -> Iterator[Step]:
        """Play one step."""
        with telling(self.narrator, number, title) as step:
            yield step


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The context that all three come to share, and the client key that each has in it."""

    application_id: str
    context_id: ContextId
    founder: PublicKey
    laptop: PublicKey
    phone: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchers:
    """Everybody's `/ws` connection."""

    ada: Watcher
    ben: Watcher
    cleo: Watcher


def expect(holds: object, what: str) -> None:
    """End the story where something is not as it should be."""
    if not holds:
        raise StoryError(f"it should be so, and is not: {what}")


def read_context(meroctl: Meroctl, alias: str) -> tuple[str, list[OperationId]]:
    """Root hash and heads of a context."""
    body = meroctl.ask("context", "get", alias, "info")
    heads = items_at(body, "data", "dagHeads")
    return text_at(body, "data", "rootHash"), [_operation_id(head) for head in heads]


def identity(meroctl: Meroctl) -> PublicKey:
    """A new client key."""
    return PublicKey.parse(text_at(meroctl.ask("context", "identity", "generate"), "data", "publicKey"))


def invite(meroctl: Meroctl, key: PublicKey, alias: str, context: str, inviter: str) -> str:
    """An invitation for a key."""
    return text_at(meroctl.ask("context", "invite", str(key), alias, "--context", context, "--as", inviter), "data")


def join(meroctl: Meroctl, invitation: str, context: str, alias: str) -> ContextId:
    """Join by an invitation, and name context and identity."""
    body = meroctl.ask("context", "join", invitation, "--name", context, "--as", alias)
    return ContextId.parse(text_at(body, "data", "contextId"))


def members(meroctl: Meroctl, context: str) -> dict[str, list[str]]:
    """The members' keys and capabilities."""
    found = items_at(meroctl.ask("context", "members", "--context", context), "data", "members")
    return {text_at(each, "publicKey"): [str(name) for name in items_at(each, "capabilities")] for each in found}


def lag(own: Heard, other: Heard) -> int:
    """How many milliseconds after the writer's own node another one told of it."""
    return max(0, round((other.at - own.at) * 1000))


def now() -> float:
    """The time that all programs of this machine share, in seconds."""
    return time.monotonic()


def _operation_id(head: object) -> OperationId:
    """A head is a list of octets on the wire."""
    octets = [each for each in head if isinstance(each, int)] if isinstance(head, list) else []
    return OperationId(bytes(octets))
