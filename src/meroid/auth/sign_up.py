"""Who may make accounts on a node beside its owner (`design.md` §5, "More people on one node")."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from meroid import limits

WINDOW_MS: Final = 3_600_000


class SignUp(StrEnum):
    """The policy: nobody else; whom somebody with an account invites; everybody."""

    CLOSED = "closed"
    INVITED = "invited"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpRules:
    """The policy with its bounds.

    `per_hour` is how many accounts one address may make for itself in an hour, `max_accounts` how many there may be.
    """

    policy: SignUp = SignUp.CLOSED
    max_accounts: int = limits.ACCOUNTS.value
    per_hour: int = limits.SIGN_UPS_PER_HOUR.value

    @property
    def everybody_invites(self) -> bool:
        """True if an account that doesn't own the node may make links for new ones."""
        return self.policy is not SignUp.CLOSED


DEFAULT_RULES: Final = SignUpRules()


def sign_up_wait_ms(rules: SignUpRules, made_at: tuple[int, ...], at: int) -> int:
    """Milliseconds until an address may make one more account; `made_at` are those of the last hour, oldest first."""
    recent = [each for each in made_at if at - each < WINDOW_MS]
    if len(recent) < rules.per_hour:
        return 0
    return recent[len(recent) - rules.per_hour] + WINDOW_MS - at
