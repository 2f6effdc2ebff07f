"""What the audit trail learns of refused requests, without making anybody wait."""

from meroid.access.principal import Principal
from meroid.account.audit import Actor
from meroid.auth.first_owner import Peer
from meroid.auth.tokens import TokenRevokedError
from meroid.errors import ForbiddenError, MeroidError
from meroid.service.auditing import Refusals, actor_of


class AuditWatch:
    """Notes 403 of callers that are known, and 401 of tokens whose key is; strangers leave no trace but a count."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def refused(self, error: MeroidError, caller: Principal | None, peer: Peer, route: str, at: int) -> None:
        """Note a refused request; the store isn't touched."""
        if isinstance(error, ForbiddenError) and caller is not None:
            self._refusals.note_request(error.code, actor_of(caller), at, route)
        elif isinstance(error, TokenRevokedError) and error.of is not None:
            account_id, key_id = error.of
            by = Actor(account_id=account_id, key_id=key_id, address=peer.address or None)
            self._refusals.note_request(error.code, by, at, route)
