"""The code of a log-in link: 128 random bits, used once; only its hash is kept."""

import base64
import re
import secrets
from typing import Final

from meroid.errors import UnauthenticatedError
from meroid.keys.canonical import tagged_hash
from meroid.keys.jose import encode_base64url
from meroid.keys.signer import Secret

CODE_BYTES: Final = 16
LONGEST_TEXT: Final = 4096
_TAG: Final = "meroid/login-code/v1"
_BEFORE: Final = "#code="
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class WrongLoginCodeError(UnauthenticatedError):
    """This node has made no such code, or has forgotten it since."""

    code = "wrong_login_code"
    next_step = "copy the whole link, or ask for another one"


def new_login_code() -> Secret:
    """Draw a code."""
    return Secret(secrets.token_bytes(CODE_BYTES))


def show_login_code(code: Secret) -> str:
    """The code as it stands in a link: base64url without padding, 22 characters."""
    return encode_base64url(code.reveal())


def login_code_hash(code: Secret) -> bytes:
    """What is stored and looked up, 32 bytes; the code has too many bits to be guessed from a fast hash."""
    return tagged_hash(_TAG, code.reveal())


def parse_login_code(text: str) -> Secret | None:
    """The code in a text, which may be the whole link; nothing if there is none."""
    _, _, behind = text[:LONGEST_TEXT].rpartition(_BEFORE)
    digits = behind.strip()
    if not _TEXT.fullmatch(digits):
        return None
    return Secret(base64.b64decode(digits + "==", altchars=b"-_"))
