"""Reading the audit trail, and signing what it ends with."""

from collections.abc import Sequence
from dataclasses import replace

from meroid.access.permissions import ADMIN, Permission, any_covers
from meroid.access.principal import Principal
from meroid.account.audit import AuditHead, ChainedEvent
from meroid.service.gate import OutsideBindingError, PermissionDeniedError
from meroid.service.ports.audit import AuditCount, AuditFilter
from meroid.service.ports.store import Store
from meroid.service.signing import SigningKeys

_LIST_KEYS = Permission(path=("keys", "list"))


class AuditService:
    """The trail for those who may see it: all of it for `admin`, for others what their own account did."""

    def __init__(self, store: Store, keys: SigningKeys) -> None:
        self._store = store
        self._keys = keys

    def page(self, principal: Principal, wanted: AuditFilter, *, after: int, limit: int) -> Sequence[ChainedEvent]:
        """At most `limit` events behind the number `after`, in their order.

        Raises:
            PermissionDeniedError: as `_seen`.
        """
        seen = _seen(principal, wanted)
        return self._store.read(lambda tx: tx.audit.page(seen, after=after, limit=limit))

    def latest(self, principal: Principal, wanted: AuditFilter, *, limit: int) -> Sequence[ChainedEvent]:
        """The last events, in their order; raises as `page`."""
        seen = _seen(principal, wanted)
        return self._store.read(lambda tx: tx.audit.latest(seen, limit=limit))

    def head(self, at: int) -> tuple[AuditHead, str]:
        """Where the trail ends, and a signed statement of it.

        Raises:
            NoSigningKeyError: there is no key yet.
        """
        head = self._store.read(lambda tx: tx.audit.head())
        return head, self._keys.issuer(at).audit_statement(head, at)

    def counts(self) -> Sequence[AuditCount]:
        """How many events of each kind there ever were, on all workers."""
        return self._store.read(lambda tx: tx.audit.counts())


def _seen(principal: Principal, wanted: AuditFilter) -> AuditFilter:
    """What of this the caller may see.

    Raises:
        OutsideBindingError: the token acts in some context only.
        PermissionDeniedError: it belongs to no log-in and doesn't hold `keys:list`, or asks for another account.
    """
    if principal.is_limited:
        raise OutsideBindingError("the audit trail is not of one context")
    if any_covers(principal.held, ADMIN):
        return wanted
    if principal.fresh_login_at is None and not any_covers(principal.held, _LIST_KEYS):
        raise PermissionDeniedError("this needs a log-in, or a token with keys:list")
    if wanted.account_id not in {None, principal.account_id}:
        raise PermissionDeniedError("what other accounts did needs admin")
    return replace(wanted, account_id=principal.account_id)
