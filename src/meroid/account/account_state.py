"""What the entries of a key log amount to."""

from collections.abc import Mapping
from dataclasses import dataclass

from meroid.account.authority import AccountKeys, NextKeys, RecoverySet
from meroid.account.changes import RootKeyBinding
from meroid.ids import AccountId
from meroid.keys.public import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account after some entry of its key log; never changes, the next entry gives another one.

    `generation` counts the changes of keys. `devices` are those in use, and a revoked one never
    comes back. `root_keys` are found by their identifier; `delegations` holds the digest of each
    certificate in force by its serial. Both maps are read-only.
    """

    account_id: AccountId
    generation: int
    keys: AccountKeys
    next: NextKeys
    recovery: RecoverySet | None
    retired_keys: frozenset[PublicKey]
    devices: frozenset[int]
    revoked_devices: frozenset[int]
    root_keys: Mapping[bytes, RootKeyBinding]
    delegations: Mapping[int, bytes]
    next_serial: int

    def next_device(self) -> int:
        """The lowest device number above all that were ever claimed."""
        return max(max(self.devices, default=-1), max(self.revoked_devices, default=-1)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Which entries put the authorities of an account in force; forks are judged by it.

    Attributes:
        keys: the entry that made the current keys current.
        line: the inception, or the last recovery: since then every change of keys was committed to.
        recovery: the entry since which the recovery set, or that there is none, is as it is.
    """

    keys: bytes
    line: bytes
    recovery: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedKeyLog:
    """A key log that holds: its state, its length, and the ids of its last two entries.

    `before_head` is empty where the inception is the last entry.
    """

    state: AccountState
    standing: Standing
    length: int
    head: bytes
    before_head: bytes

    @property
    def account_id(self) -> AccountId:
        """The account whose log it is."""
        return self.state.account_id

    def next_device(self) -> int:
        """The lowest device number above all that were ever claimed."""
        return self.state.next_device()
