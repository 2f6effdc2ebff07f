"""`meroctl audit export|verify`: the audit trail as a file, and the check of one without any node."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from meroid.account.audit import AuditBrokenError, AuditHead, ChainedEvent, verify_chain
from meroid.account.audit_statement import AuditStatement, BadStatementError, read_key_set, read_statement
from meroid.cli.meroctl.audit import time_text
from meroid.cli.meroctl.files import read_text
from meroid.cli.meroctl.refusals import BadArgumentError, FileProblemError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at
from meroid.errors import IntegrityError
from meroid.wire.audit import BadAuditLineError, ExportEnd, export_line, parse_line

_PAGE: Final = 1000
_BAR: Final = 30
_HEX: Final = 64


class AuditTruncatedError(IntegrityError):
    """The trail isn't what it was when somebody looked before."""

    code = "audit_truncated"
    next_step = "keep both files: together they show that the trail was shortened or rewritten"


@dataclass(slots=True, kw_only=True)
class Checked:
    """What a verification saw on its way. `contains` is a head that has to lie on it."""

    contains: AuditHead | None = None
    head: AuditHead = field(default_factory=AuditHead)
    first_at: int = 0
    last_at: int = 0
    end: ExportEnd | None = None

    def follow(self, lines: Iterable[ChainedEvent | ExportEnd]) -> None:
        """Check events as they come.

        Raises:
            AuditBrokenError: with the number of the first that doesn't fit.
            AuditTruncatedError: a head that has to lie on it doesn't.
            BadAuditLineError: something follows the end.
        """
        for each in lines:
            if self.end is not None:
                raise BadAuditLineError("something follows the end of the export")
            if isinstance(each, ExportEnd):
                self.end = each
                continue
            self.head = verify_chain([each], after=self.head)
            self.first_at = self.first_at or each.event.at
            self.last_at = each.event.at
            if (
                self.contains is not None
                and self.contains.count == each.sequence
                and each.digest != self.contains.digest
            ):
                raise AuditTruncatedError(
                    f"event {each.sequence} isn't what it was: the trail was rewritten up to there"
                )
        if self.contains is not None and self.contains.count > self.head.count:
            raise AuditTruncatedError(
                f"the trail had {self.contains.count} events before, and has {self.head.count} now"
            )


def export(session: Session) -> None:
    """Write every event and the signed end, into a new file."""
    path = Path(session.args.out)
    if os.path.lexists(path):
        raise FileProblemError(f"{path} is there already")
    ended = session.routes.audit_head()
    count, statement = number_at(ended, "data", "count"), text_at(ended, "data", "statement")
    keys = session.routes.key_set()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise FileProblemError(f"{path} can't be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for each in _events(session, count):
                file.write(export_line(each))
            file.write(export_line({"statement": statement, "jwks": keys}))
    except BaseException as error:
        path.unlink(missing_ok=True)  # half a trail would look like a shortened one
        if isinstance(error, OSError):
            raise FileProblemError(f"{path} can't be written: {error.strerror}") from None
        raise
    told = {"file": str(path), "events": count, "head": text_at(ended, "data", "head")}
    session.output.answer(told, Table(["Audit Trail Exported", "Events"], [[str(path), str(count)]]))
    session.output.detail("Check it without the node", f"meroctl audit verify {path}")


def verify(session: Session) -> None:
    """Check a file, or the trail of the node as it is now."""
    args = session.args
    checked = Checked(contains=None if args.since_head is None else _older(args.since_head))
    if args.file is None:
        ended = session.routes.audit_head()
        count, statement = number_at(ended, "data", "count"), text_at(ended, "data", "statement")
        document: object = session.routes.key_set()
        checked.follow(parse_line(export_line(each).encode()) for each in _events(session, count))
    else:
        checked.follow(_lines(args.file))
        if checked.end is None:
            raise AuditTruncatedError("the file has no signed end: it was cut off")
        statement, document = checked.end.statement, checked.end.jwks
    if args.jwks is not None:
        document = _json(args.jwks)
    said = read_statement(statement, read_key_set(document))
    if said.head != checked.head:
        raise AuditBrokenError(
            f"the node signed that there are {said.head.count} events, and here are {checked.head.count}"
            if said.head.count != checked.head.count
            else "the node signed another hash of the last event",
            sequence=checked.head.count,
        )
    _show(session, checked, said)


def _show(session: Session, checked: Checked, said: AuditStatement) -> None:
    args, head = session.args, checked.head
    facts = {
        "events": head.count,
        "first_at": checked.first_at,
        "last_at": checked.last_at,
        "head": head.digest.hex(),
        "issuer": said.issuer,
        "signed_at": said.at,
        "signing_key": said.kid,
        "keys_from": "file" if args.jwks is not None else "export" if args.file is not None else "node",
        "contains_older_head": checked.contains is not None,
    }
    rows = [
        ["Events", str(head.count)],
        ["From", time_text(checked.first_at) if head.count else "-"],
        ["To", time_text(checked.last_at) if head.count else "-"],
        ["Head", f"{head.count}:{head.digest.hex()}"],
        ["Signed by", f"{said.issuer}, key {said.kid}"],
        ["Signed at", time_text(said.at)],
    ]
    session.output.answer(facts, Table(["Audit Trail Verified", "Value"], rows))
    if args.file is not None and args.jwks is None:
        session.output.detail(
            "note", "checked with the keys in the export itself; with --jwks it is known that they are the node's"
        )


def _events(session: Session, count: int) -> Iterator[object]:
    """The first `count` events of the node, page by page."""
    after = 0
    while after < count:
        body = session.routes.audit({"after": str(after), "limit": str(min(_PAGE, count - after))})
        events = items_at(body, "data", "events")
        if not events:
            raise AuditTruncatedError(f"the node has no event {after + 1}, and said that it has {count}")
        yield from events
        after = number_at(events[-1], "seq")
        _progress(after, count)


def _progress(done: int, count: int) -> None:
    if not sys.stderr.isatty() or count <= _PAGE:
        return
    filled = _BAR * done // count
    end = "\n" if done >= count else ""
    sys.stderr.write(f"\r[{'#' * filled}{'-' * (_BAR - filled)}] {done} of {count} events{end}")
    sys.stderr.flush()


def _lines(name: str) -> Iterator[ChainedEvent | ExportEnd]:
    """The lines of an export, read as they are needed."""
    number = 0
    try:
        with Path(name).open("rb") as file:
            while line := file.readline(128 * 1024):
                number += 1
                yield parse_line(line.rstrip(b"\n"))
    except OSError as error:
        raise FileProblemError(f"{name} can't be read: {error.strerror}") from None
    except BadAuditLineError as error:
        raise BadAuditLineError(f"{name}, line {number}: {error.reason}") from None


def _older(text: str) -> AuditHead:
    """A head that was kept: `N:HASH`, or that of an older export."""
    count, colon, digest = text.partition(":")
    if colon and count.isascii() and count.isdecimal() and len(digest) == _HEX:
        try:
            return AuditHead(count=int(count), digest=bytes.fromhex(digest))
        except ValueError:
            raise BadArgumentError(
                "the hash isn't hexadecimal", next_step="copy it from meroctl audit verify"
            ) from None
    older = Checked()
    older.follow(_lines(text))
    if older.end is None:
        raise BadStatementError(f"{text} has no signed end")
    return older.head


def _json(name: str) -> object:
    try:
        value: object = json.loads(read_text(name))
    except (ValueError, RecursionError):
        raise FileProblemError(f"{name} is no JSON") from None
    return value
