"""Storage of accounts, their sealed seeds, key logs and client keys. Times in ms since the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """An account whose seed this node keeps; `sealed_seed` opens only with the store key.

    `owner` marks the node's own account; `backed_up_at` is when its words were confirmed. A disabled
    account opens nothing here. While `log_unsettled_at` is set the account came from a backup, its key
    log may have later entries elsewhere, and nothing is added to it. `label` is what the owner of the node
    calls it, or nothing.
    """

    account_id: AccountId
    sealed_seed: bytes
    device: int
    created_at: int
    owner: bool
    backed_up_at: int | None = None
    disabled_at: int | None = None
    log_unsettled_at: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKeyRecord:
    """Where a client key of this node stands in the derivation tree, and what it is for.

    While `restored_at` is set the key came from a backup and signs nothing but its rotation
    (`design.md` §4): another copy may have gone on with it.
    """

    public_key: PublicKey
    account_id: AccountId
    device: int
    slot: int
    generation: int
    context_id: ContextId | None
    created_at: int
    restored_at: int | None = None


class Accounts(Protocol):
    """Accounts, key logs and client keys of this node."""

    def add(self, record: AccountRecord, inception: bytes) -> None:
        """Store a new account with the first entry of its key log."""
        ...

    def get(self, account_id: AccountId) -> AccountRecord | None: ...
    def owner(self) -> AccountRecord | None: ...
    def list(self) -> Sequence[AccountRecord]: ...
    def count(self) -> int: ...
    def set_backed_up(self, account_id: AccountId, at: int) -> None:
        """Note that the words of an account were written down and confirmed."""
        ...

    def set_disabled(self, account_id: AccountId, at: int | None) -> None:
        """Disable an account from a time on, or with `None` enable it."""
        ...

    def set_log_settled(self, account_id: AccountId) -> None:
        """Note that the key log here is whole."""
        ...

    def renew_device(self, account_id: AccountId, device: int, at: int) -> None:
        """Note that this home is another device from now on, that its log is unsettled and all its bound keys restored."""
        ...

    def key_log(self, account_id: AccountId) -> Sequence[bytes]: ...
    def append_key_log(self, account_id: AccountId, sequence: int, entry: bytes) -> None: ...
    def next_slot(self, account_id: AccountId, device: int) -> int:
        """The slot after the highest one that was ever used on this device: never one that was used."""
        ...

    def add_client_key(self, record: ClientKeyRecord) -> None: ...
    def client_key(self, public_key: PublicKey) -> ClientKeyRecord | None: ...
    def client_keys(
        self, *, account_id: AccountId | None = None, context_id: ContextId | None = None
    ) -> Sequence[ClientKeyRecord]:
        """Client keys, narrowed by what is given, oldest first."""
        ...

    def restored(self) -> Sequence[PublicKey]:
        """Client keys that came from a backup and sign nothing yet."""
        ...

    def mark_restored(self, public_key: PublicKey, at: int) -> None:
        """Note that somebody else signed with this key, so that it rotates before it signs again."""
        ...

    def release(self, public_key: PublicKey) -> None:
        """Note that nothing hinders a restored key any more."""
        ...

    def count_unbound(self, account_id: AccountId) -> int: ...
    def bind_client_key(self, public_key: PublicKey, context_id: ContextId) -> bool:
        """Bind an unbound key to a context for good; false if it was bound already."""
        ...
