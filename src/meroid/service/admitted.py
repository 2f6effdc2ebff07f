"""What the gate found out about one access token, and how long that holds."""

from dataclasses import dataclass

from meroid.access.principal import Principal
from meroid.auth.tokens import AccessClaims, TokenExpiredError, TokenVerifier, check_expiry


@dataclass(slots=True, kw_only=True, eq=False)
class Admitted:
    """An access token whose signature held and whose records stood, at one version of the store.

    Attributes:
        claims: what the token says.
        principal: who it acts for.
        key_ends_at: when the token key behind it ends, ms; `None` for never.
        version: of the store, asked for before the records were read.
        verifier: what verified its signature; another one means other signing keys.
        shown: what the asker made of it, such as a finished answer; kept with the rest, and gone with it.
    """

    claims: AccessClaims
    principal: Principal
    key_ends_at: int | None
    version: bytes
    verifier: TokenVerifier
    shown: object = None

    def check_time(self, at: int) -> None:
        """Refuse it past its time, which comes without any change of the store.

        Raises:
            TokenExpiredError: token or key are past it.
        """
        check_expiry(self.claims, at)
        if self.key_ends_at is not None and at >= self.key_ends_at:
            raise TokenExpiredError("the key behind this token has expired")
