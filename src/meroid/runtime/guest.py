"""What one run of a guest has done so far: registers, storage overlay, logs, events, result."""

from collections.abc import Callable
from dataclasses import dataclass, field

from meroid.runtime import limits
from meroid.runtime.failure import INVALID_MEMORY_ACCESS, GuestError, error_value_text, limit_text
from meroid.runtime.memory import GuestMemory
from meroid.service.ports.runtime import GuestEvent, Invocation, Outcome

_UNCOMMITTED = "storage changes without a commit were dropped"


@dataclass(slots=True)
class GuestRun:
    """The state of one run; lives as long as its instance and belongs to one thread.

    Attributes:
        failure: text of the rule that the guest broke, once it did.
        crash: an error of ours or of `read`, to be raised again outside the guest.
        result: whether the returned value is an error, and its bytes.
        committed: root hash and artifact.
    """

    invocation: Invocation
    read: Callable[[bytes], bytes | None]
    memory: GuestMemory = field(default_factory=GuestMemory)
    registers: dict[int, bytes] = field(default_factory=dict)
    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    events: list[GuestEvent] = field(default_factory=list)
    result: tuple[bool, bytes] | None = None
    committed: tuple[bytes, bytes] | None = None
    failure: str | None = None
    crash: BaseException | None = None
    calls_left: int = limits.HOST_CALLS.value
    registers_left: int = limits.REGISTERS_BYTES.value
    writes_left: int = limits.WRITES_BYTES.value

    def count_call(self) -> None:
        """One more call of a host function (fuel doesn't count what they do)."""
        self.calls_left -= 1
        if self.calls_left < 0:
            raise GuestError(limit_text(limits.HOST_CALLS))

    def register(self, number: int) -> bytes:
        """Content of a register; an unknown one ends the run."""
        try:
            return self.registers[number]
        except KeyError:
            raise GuestError(f"invalid register id: {number}") from None

    def fill(self, number: int, data: bytes) -> None:
        """Set a register, within the limits on registers."""
        old = self.registers.get(number)
        if old is None and len(self.registers) >= limits.REGISTERS.value:
            raise GuestError(INVALID_MEMORY_ACCESS)
        self.registers_left -= len(data) - len(old or b"")
        if len(data) > limits.REGISTER_BYTES.value or self.registers_left < 0:
            raise GuestError(INVALID_MEMORY_ACCESS)
        self.registers[number] = data

    def stored(self, key: bytes) -> bytes | None:
        """A value as this run sees it: its own changes over the state before it."""
        return self.writes[key] if key in self.writes else self.read(key)

    def store(self, key: bytes, value: bytes | None) -> None:
        """Change the state in the overlay only; nothing removes."""
        self.writes_left -= len(key) + len(value or b"")
        if self.writes_left < 0:
            raise GuestError(limit_text(limits.WRITES_BYTES))
        self.writes[key] = value

    def outcome(self) -> Outcome:
        """What the run did, after it ended without a trap."""
        failed, returned = self.result if self.result is not None else (False, None)
        if failed:
            return self.failed(error_value_text(returned or b""))
        root, artifact = self.committed if self.committed is not None else (None, None)
        if self.committed is None and self.writes:
            # Without root and artifact no other replica could follow, so this one mustn't move either.
            self.writes = {}
            self.logs.append(_UNCOMMITTED)
        return Outcome(
            returned=returned,
            root_hash=root,
            artifact=artifact,
            writes=self.writes,
            events=tuple(self.events),
            logs=tuple(self.logs),
        )

    def failed(self, failure: str) -> Outcome:
        """The outcome of a failed run: nothing but the text and the logs."""
        return Outcome(failure=failure, logs=tuple(self.logs))
