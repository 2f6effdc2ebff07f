"""Who a request acts for, and whether it may."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from meroid.access.decide import Resource
from meroid.access.permissions import Permission
from meroid.access.principal import Principal
from meroid.auth.first_owner import Peer
from meroid.errors import MeroidError
from meroid.http.routes import Needs, Public, Requires
from meroid.ids import BadIdError
from meroid.wire.faults import BadPathError


class Gate(Protocol):
    """What the guard asks about callers; `service.gate.Gate` answers it."""

    def admit(self, bearer: str | None, at: int) -> Principal:
        """The principal behind a token; raises leaves of UnauthenticatedError."""
        ...

    def authorise(self, principal: Principal, needed: Permission, resource: Resource) -> None:
        """Return if it may; raises ForbiddenError."""
        ...


class Watch(Protocol):
    """Who is told of refusals; must not wait. `app.watch` answers it."""

    def refused(self, error: MeroidError, caller: Principal | None, peer: Peer, route: str, at: int) -> None:
        """A request was refused; `caller` is nobody where none was admitted, `route` its pattern."""
        ...


class Guard:
    """Admits callers: by their token in `embedded` mode, as the node's own principal in `proxy` mode."""

    def __init__(self, gate: Gate, *, own_principal: Callable[[], Principal] | None = None) -> None:
        """`own_principal` makes it `proxy` mode: whoever reaches the node acts for it, and tokens aren't read."""
        self._gate = gate
        self._own_principal = own_principal

    @property
    def trusts_everybody(self) -> bool:
        """True in `proxy` mode."""
        return self._own_principal is not None

    def admit(self, needs: Needs, bearer: str | None, peer: Peer, at: int) -> Principal | None:
        """The principal of a request, or nobody on a public route. Blocks: it may read the store.

        Raises:
            UnauthenticatedError: no valid token.
        """
        if isinstance(needs, Public):
            return None
        principal = self._own_principal() if self._own_principal else self._gate.admit(bearer, at)
        return replace(principal, address=peer.address or None)

    def authorise(self, principal: Principal | None, needs: Needs, params: Mapping[str, str]) -> None:
        """Refuse who was admitted without the permission that the route requires.

        Raises:
            ForbiddenError: it is missing.
            BadPathError: a path parameter is no id of its kind.
        """
        if principal is not None and isinstance(needs, Requires):
            self._gate.authorise(principal, needs.permission, _resource(needs, params))


def _resource(needs: Requires, params: Mapping[str, str]) -> Resource:
    try:
        return needs.resource(params)
    except BadIdError as problem:
        raise BadPathError(problem.reason) from None


def bearer_of(authorization: str | None, query_token: str | None = None) -> str | None:
    """The token in an `Authorization` header, or else in the query; nothing if there is none.

    The scheme is read in any case (RFC 9110 §11.1).
    """
    scheme, _, token = (authorization or "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return bearer or query_token or None


def split_query_token(query_string: str) -> tuple[str, str | None]:
    """The query without its `token`, and the token: no log and no handler sees it there."""
    if "token=" not in query_string:
        return query_string, None
    pairs = parse_qsl(query_string, keep_blank_values=True)
    token = next((value for name, value in pairs if name == "token"), None)
    return urlencode([(name, value) for name, value in pairs if name != "token"]), token
