"""Secrets that a command needs: typed on a terminal, or read from a file; never from argv, never shown."""

import getpass
import sys
from pathlib import Path

from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.refusals import BadArgumentError

MOST_SECRET_BYTES = 4096


def need_terminal(what: str, option: str) -> None:
    """Refuse to go on where nobody can be asked.

    Raises:
        BadArgumentError: there is no terminal.
    """
    if not is_interactive():
        raise BadArgumentError(
            f"no {what} was given, and there is no terminal to ask", next_step=f"give {option} FILE, or -"
        )


def typed_secret(question: str, what: str = "password") -> str:
    """A secret that a person types without seeing it."""
    try:
        return getpass.getpass(question)
    except EOFError:
        raise BadArgumentError(f"no {what} was typed", next_step="run it again") from None


def typed_new_password(question: str = "Password: ") -> str:
    """A new password, typed twice.

    Raises:
        BadArgumentError: the two differ.
    """
    password = typed_secret(question)
    if typed_secret("Password again: ") != password:
        raise BadArgumentError("the two passwords are not the same", next_step="run it again; nothing was sent")
    return password


def new_password(file: str | None, question: str = "New password: ") -> str:
    """A new password from a file, or typed twice."""
    if file is not None:
        return secret_from(file, "password")
    need_terminal("password", "--password-file")
    return typed_new_password(question)


def secret_from(file: str, what: str) -> str:
    """The text in a file, or `-` for standard input, without its closing line feed.

    Raises:
        BadArgumentError: it can't be read, or is no text of a fitting length.
    """
    try:
        text = bytes_from(file, what).decode()
    except UnicodeDecodeError:
        raise BadArgumentError(f"the {what} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise BadArgumentError(f"the {what} has 1 to {MOST_SECRET_BYTES} bytes")
    return text


def bytes_from(file: str, what: str) -> bytes:
    """The bytes in a file, or `-` for standard input.

    Raises:
        BadArgumentError: it can't be read, is empty or too long.
    """
    try:
        data = sys.stdin.buffer.read(MOST_SECRET_BYTES + 1) if file == "-" else _read(Path(file))
    except OSError as error:
        raise BadArgumentError(
            f"the {what} file can't be read: {error.strerror}", next_step="check the path, or give - for standard input"
        ) from None
    if not 0 < len(data) <= MOST_SECRET_BYTES:
        raise BadArgumentError(f"the {what} has 1 to {MOST_SECRET_BYTES} bytes")
    return data


def _read(path: Path) -> bytes:
    with path.expanduser().open("rb") as file:
        return file.read(MOST_SECRET_BYTES + 1)
