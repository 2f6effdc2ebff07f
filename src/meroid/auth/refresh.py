"""What a presented refresh token gets: each is used once, and a lost answer is forgiven (design §5).

A client that repeats a request because the answer was lost, or fifty tabs that share one token,
get the same successor. Only a token whose successor was already exchanged, and which is older
than the window, shows that two parties hold it; then its family ends.

A successor that is younger than the window isn't exchanged again, but given back: otherwise fifty tabs would make a
chain of fifty within a second, and the slowest could write a token of its beginning over the others' last one. So
who stores an answer within the window never stores a token whose successor was used.
"""

from dataclasses import dataclass
from typing import Final

REPEAT_WINDOW_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A refresh token as the store knows it. Times in ms.

    `first` is true for the token that began its family: nobody else can have been given it. `exchanged_at` is when its
    successor was made; `successor_used` says that this successor was itself exchanged.
    """

    family_revoked: bool
    first: bool
    issued_at: int
    expires_at: int
    exchanged_at: int | None
    successor_used: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """Make a successor."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Give the same token back: it was made just now."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Give the successor that was made before."""


@dataclass(frozen=True, slots=True)
class Reused:
    """Two parties hold this token: refuse, and revoke its family."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The family was revoked before."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The token is too old."""


Verdict = Exchange | Keep | Repeat | Reused | Ended | Expired


def decide_refresh(presented: Presented, at: int) -> Verdict:
    """Decide what this token gets now."""
    if presented.family_revoked:
        return Ended()
    if at >= presented.expires_at:
        return Expired()
    if presented.exchanged_at is None:
        old = presented.first or at - presented.issued_at > REPEAT_WINDOW_MS
        return Exchange() if old else Keep()
    if at - presented.exchanged_at <= REPEAT_WINDOW_MS or not presented.successor_used:
        return Repeat()
    return Reused()
