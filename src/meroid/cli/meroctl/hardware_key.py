"""A key on a hardware token, for the person at this terminal."""

from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.secret_input import typed_secret
from meroid.client.proofs import HardwareKey
from meroid.keys.signer import Ask, Secret


def open_hardware_key(uri: str) -> HardwareKey:
    """The key that a `pkcs11:` URI names; the PIN is asked for where the URI names no file with it.

    Raises:
        InvalidInputError, NotFoundError, ForbiddenError, UnavailableError: as `vault.pkcs11_signer` says.
    """
    # Light: it needs the library of the extra `hsm` and nothing of the server.
    from meroid.vault.pkcs11_signer import find_account_key  # noqa: PLC0415 - few log in with a token

    ask: Ask | None = _pin if is_interactive() else None
    return HardwareKey(find_account_key(uri, ask))


def _pin(question: str) -> Secret:
    return Secret(typed_secret(f"{question}: ", "PIN").encode())
