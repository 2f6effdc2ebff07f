"""Asking for a PIN on the terminal of the node's machine."""

import getpass
import sys

from meroid.keys.signer import Ask, Secret
from meroid.vault.pkcs11_token import PinNeededError


def ask_on_terminal() -> Ask | None:
    """What asks for a secret without showing it; nothing where nobody sits at a terminal."""
    return _ask if sys.stdin.isatty() else None


def _ask(what: str) -> Secret:
    try:
        typed = getpass.getpass(f"{what}: ", stream=sys.stderr)
    except EOFError:
        raise PinNeededError("no PIN was typed") from None
    return Secret(typed.encode("utf-8", "surrogateescape"))
