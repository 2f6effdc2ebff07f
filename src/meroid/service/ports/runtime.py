"""Running an application's code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from meroid.errors import InvalidInputError, UnavailableError
from meroid.ids import BlobId, ContextId
from meroid.keys.public import PublicKey


class BadModuleError(InvalidInputError):
    """The bytes aren't a module that this node can run."""

    code = "bad_module"
    next_step = "build the application for wasm32 against the host functions of docs/applications.md"


class NotCompiledError(UnavailableError):
    """A module couldn't be compiled at this moment: too many others, or the machine has no room."""

    code = "not_compiled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of an exported function.

    `executor` is the client key that acts; `input` is what the guest reads (JSON of named
    arguments, or an artifact for `__calimero_sync_next`); `at` is ms since the epoch.
    """

    method: str
    input: bytes
    context_id: ContextId
    executor: PublicKey
    at: int
    members: tuple[PublicKey, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """An event that the guest emitted; `handler` names an export, or nothing."""

    kind: str
    data: bytes
    handler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run did; with a `failure` everything else but `logs` is empty.

    `failure` is the text that the wire wants (`wire/node.md` §2.1, FunctionCallError).
    `writes` holds the storage changes, `None` for a removed key. `artifact` and `root_hash`
    come from the guest's `commit`; both are `None` when it didn't commit.
    """

    returned: bytes | None = None
    failure: str | None = None
    root_hash: bytes | None = None
    artifact: bytes | None = None
    writes: Mapping[bytes, bytes | None] = field(default_factory=dict)
    events: tuple[GuestEvent, ...] = ()
    logs: tuple[str, ...] = ()


class Runtime(Protocol):
    """Runs application code in isolation, bounded in time, memory and output."""

    def check(self, blob_id: BlobId, bytecode: bytes) -> None:
        """Refuse what can't run here; what can is in the cache of compiled modules then.

        Raises:
            BadModuleError: not WebAssembly, unknown imports, an unsupported family, or it takes too
                much time or memory to compile.
            NotCompiledError: it couldn't be tried now.
        """
        ...

    def run(
        self,
        blob_id: BlobId,
        load: Callable[[], bytes],
        invocation: Invocation,
        read: Callable[[bytes], bytes | None],
    ) -> Outcome:
        """Run one exported function in a fresh instance.

        `blob_id` names the module in the cache of compiled modules; `load` fetches its bytes
        when it isn't there. `read` reads the state as it was before the run.

        Raises:
            NotCompiledError: the module couldn't be compiled now; says nothing about the call.
        """
        ...
