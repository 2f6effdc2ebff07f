"""Files that commands write and read: what was made goes to standard output, or into a new file of one's own."""

import os
from pathlib import Path

from meroid.cli.meroctl.refusals import FileProblemError
from meroid.cli.meroctl.session import Session
from meroid.limits import BACKUP_BYTES


def deliver(session: Session, body: object, text: str, what: str) -> None:
    """Write a text to the file that was named, 0600 and never over another, or print it."""
    name = session.args.out
    if name is None:
        session.output.answer(body, text.rstrip("\n"))
        return
    write_new(Path(name), text)
    session.output.answer(body, f"{what} written to {name}")


def write_new(path: Path, text: str) -> None:
    """Make a file of mode 0600.

    Raises:
        FileProblemError: it is there already, or can't be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise FileProblemError(f"{path} can't be written: {error.strerror}") from None


def read_text(name: str) -> str:
    """The text of a file, within the size of the largest that is ever written.

    Raises:
        FileProblemError: it can't be read, is too large, or isn't UTF-8.
    """
    try:
        with Path(name).open("rb") as file:
            data = file.read(2 * BACKUP_BYTES.value + 1)
        if len(data) > 2 * BACKUP_BYTES.value:
            raise FileProblemError(f"{name} is too large")
        return data.decode("utf-8")
    except OSError as error:
        raise FileProblemError(f"{name} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileProblemError(f"{name} is no text") from None
