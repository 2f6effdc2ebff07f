"""What the rules say of an operation, with the reason as data."""

from dataclasses import dataclass
from enum import StrEnum

from meroid.ids import OperationId


class Standing(StrEnum):
    """Valid counts; void never counts (here and now); held waits for a decision (rule 6)."""

    VALID = "valid"
    VOID = "void"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A standing, the stable code of its reason, and the operation that is the reason, if one is."""

    standing: Standing
    code: str = "valid"
    because: OperationId | None = None

    @property
    def valid(self) -> bool:
        """Whether the operation counts."""
        return self.standing is Standing.VALID


VALID = Verdict(Standing.VALID)


def void(code: str, because: OperationId | None = None) -> Verdict:
    """A verdict of void with its reason."""
    return Verdict(Standing.VOID, code, because)


def held(code: str, because: OperationId) -> Verdict:
    """A verdict of held with its reason."""
    return Verdict(Standing.HELD, code, because)
