"""Who a request acts for."""

from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import ADMIN, Permission
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey

FRESH_FOR_MS: Final = 5 * 60_000
NODE_SUBJECT: Final = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The account a request acts for, and how far.

    `subject` is the token's `sub`; `key_id` the root key or token key behind it, `None` in proxy
    mode. `held` is what token and live key record grant together. A bound principal acts in one
    context as one client key. `fresh_login_at` is the time (ms) of the log-in behind the token, `family_id` names that log-in.
    `address` is where the request comes from, empty inside the node.
    """

    subject: str
    account_id: AccountId
    key_id: str | None
    held: tuple[Permission, ...]
    bound_context: ContextId | None = None
    bound_executor: PublicKey | None = None
    fresh_login_at: int | None = None
    family_id: str | None = None
    address: str | None = None

    @classmethod
    def node(cls, account_id: AccountId) -> "Principal":
        """The node's own account, for which every request acts in proxy mode."""
        return cls(subject=NODE_SUBJECT, account_id=account_id, key_id=None, held=(ADMIN,))

    @property
    def is_bound(self) -> bool:
        """True if this principal acts in one context only."""
        return self.bound_context is not None or self.bound_executor is not None

    @property
    def is_limited(self) -> bool:
        """True if it acts in some context only: by its key, or by what was asked for at the log-in."""
        return self.is_bound or any(each.is_binding for each in self.held)

    def is_fresh(self, at: int) -> bool:
        """True if there was a log-in within the last five minutes (design §4, root keys), or none is needed (proxy mode)."""
        if self.key_id is None:
            return True
        return self.fresh_login_at is not None and at - self.fresh_login_at <= FRESH_FOR_MS
