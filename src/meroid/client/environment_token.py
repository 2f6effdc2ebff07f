"""A service token that a script gives in the environment, in the place of tokens that are kept."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from meroid.client.failures import BadClientFileError
from meroid.client.tokens import TokenPair

VARIABLE: Final = "MEROID_TOKEN"


class EnvironmentToken:
    """The token of `MEROID_TOKEN`: sent as it is, never renewed and never kept."""

    def __init__(self, token: str) -> None:
        """Raises BadClientFileError: it can't be a token."""
        try:
            self._tokens = TokenPair.checked(token)
        except BadClientFileError as error:
            raise BadClientFileError(
                f"{VARIABLE} holds no token: {error.reason}", next_step=f"set {VARIABLE} to a token, or unset it"
            ) from None

    def load(self) -> TokenPair:
        """The token, without one that renews it."""
        return self._tokens

    def save(self, tokens: TokenPair) -> None:
        """Keep nothing: what is in the environment is the script's."""

    def username(self) -> None:
        """Nobody: it was made for a script."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Nothing to lock."""
        return nullcontext()


def environment_token(environment: Mapping[str, str]) -> EnvironmentToken | None:
    """The token of an environment; nothing where the variable is missing or empty.

    Raises:
        BadClientFileError: it can't be a token.
    """
    text = environment.get(VARIABLE, "").strip()
    return EnvironmentToken(text) if text else None
