"""Seeds that lie in the store, sealed under the store key."""

from typing import Protocol

from meroid.account.seed import Seed
from meroid.ids import AccountId


class SeedSealer(Protocol):
    """Seals seeds; the account is bound to the sealed bytes."""

    def seal(self, account_id: AccountId, seed: Seed) -> bytes: ...
    def open(self, account_id: AccountId, sealed: bytes) -> Seed: ...
