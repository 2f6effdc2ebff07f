"""The set-up code: 128 random bits that make the first owner; only its hash is kept."""

import base64
import hmac
import secrets
from typing import Final

from meroid.errors import UnauthenticatedError
from meroid.keys.canonical import tagged_hash
from meroid.keys.signer import Secret

CODE_BYTES: Final = 16
_TAG: Final = "meroid/setup-code/v1"
_GROUP: Final = 5
_DIGITS: Final = 26
_LONGEST_TEXT: Final = 64
_MISREAD: Final = str.maketrans({"0": "O", "1": "I", "8": "B", "-": None, " ": None})


class WrongSetupCodeError(UnauthenticatedError):
    """The set-up code isn't the one of this node."""

    code = "wrong_setup_code"
    next_step = "copy the code from the file setup-code in the node's home"


def new_setup_code() -> Secret:
    """Draw a code."""
    return Secret(secrets.token_bytes(CODE_BYTES))


def show_setup_code(code: Secret) -> str:
    """The code as a person reads it: RFC 4648 base32 in groups, `ABCDE-FGHIJ-…`."""
    digits = base64.b32encode(code.reveal()).decode("ascii").rstrip("=")
    return "-".join(digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP))


def setup_code_hash(code: Secret) -> bytes:
    """What is stored, 32 bytes; the code has too many bits to be guessed from a fast hash."""
    return tagged_hash(_TAG, code.reveal())


def check_setup_code(text: str, stored_hash: bytes | None) -> None:
    """Compare what a person typed with the stored hash, in constant time; case and dashes don't matter.

    Raises:
        WrongSetupCodeError: it isn't the code, or there is none.
    """
    code = _parse(text)
    if code is None or stored_hash is None or not hmac.compare_digest(setup_code_hash(code), stored_hash):
        raise WrongSetupCodeError("this is not the set-up code of this node")


def _parse(text: str) -> Secret | None:
    if len(text) > _LONGEST_TEXT or not text.isascii():
        return None
    digits = text.upper().translate(_MISREAD).strip()
    if len(digits) != _DIGITS:
        return None
    try:
        return Secret(base64.b32decode(digits + "=" * (-_DIGITS % 8)))
    except ValueError:
        return None
