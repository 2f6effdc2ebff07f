"""Storage of log-in links and of sign-ups. Times in ms since the epoch, UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from meroid.ids import AccountId


class LinkKind(StrEnum):
    """What a link is for: the first root key of a new account, or a way back into one that is there."""

    NEW = "new"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLinkRecord:
    """A one-time link; only the 32-byte hash of its code is kept.

    `account_id` is empty while redeeming the link is what will make the account. `link_id` opens nothing.
    """

    link_id: str
    code_hash: bytes
    kind: LinkKind
    account_id: AccountId | None
    label: str
    made_by: AccountId
    created_at: int
    expires_at: int
    used_at: int | None = None
    withdrawn_at: int | None = None

    def is_open(self, at: int) -> bool:
        """True if it can be redeemed."""
        return self.used_at is None and self.withdrawn_at is None and at < self.expires_at


class LoginLinks(Protocol):
    """Log-in links and sign-ups of this node."""

    def add(self, record: LoginLinkRecord) -> None: ...
    def get(self, link_id: str) -> LoginLinkRecord | None: ...
    def find(self, code_hash: bytes) -> LoginLinkRecord | None: ...
    def open(self, *, at: int, made_by: AccountId | None = None) -> Sequence[LoginLinkRecord]:
        """Links that can be redeemed, oldest first; those of one maker if it is given."""
        ...

    def use(self, link_id: str, account_id: AccountId, *, at: int) -> bool:
        """Note that a link was redeemed for an account; false if it isn't open any more (then nothing changes)."""
        ...

    def withdraw(self, link_id: str, *, at: int) -> bool:
        """Withdraw a link; false if it isn't open any more."""
        ...

    def forget(self, *, expired_before: int) -> int:
        """Remove links whose time ended before that; how many they were."""
        ...

    def note_sign_up(self, address: str, *, at: int) -> None: ...
    def sign_ups(self, address: str, *, since: int) -> Sequence[int]:
        """When accounts were made from this address, at or after `since`, oldest first."""
        ...

    def forget_sign_ups(self, *, before: int) -> int:
        """Forget sign-ups before that time; how many they were."""
        ...
