"""`meroctl context identity link`, `unlink`, `show`: a second device in one membership.

A link code may be a secret: it is read from a terminal or a file rather than from an argument, which
others on the machine can see while the command runs.
"""

import getpass
import shutil
import sys
from pathlib import Path
from typing import Final

from meroid.cli.meroctl.asking import confirm
from meroid.cli.meroctl.contexts import name_joined
from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.session import Session, is_id
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, text_at, value_at

_MOST_CODE_BYTES: Final = 4096
_MINUTES: Final = 10
_BORDER: Final = 2


def link_identity(session: Session) -> None:
    """On the device that is in: make a link code. On the other one, with --join or --code-file: take it."""
    if session.args.code is not None or session.args.code_file is not None:
        _take(session)
    else:
        _offer(session)


def unlink_identity(session: Session) -> None:
    """Take a linked key away; a person is asked before."""
    args = session.args
    context_id = session.context(args.context)
    key = session.identity(args.key, context_id)
    shown = session.routes.show_identity(context_id, key)
    main = value_at(shown, "data", "linkedTo")
    acting = session.acting(args.acting, context_id) if args.acting is not None or main is None else str(main)
    if is_interactive() and not args.yes:
        _ask(key, context_id, value_at(shown, "data", "changes"))
    body = session.routes.unlink_identity(context_id, acting, key)
    session.output.answer(body, Table(["Device Unlinked"], [["Successfully unlinked device"]]))
    session.output.detail("Public Key", key)
    session.output.detail("Changes that stay", str(value_at(body, "data", "changes")))


def show_identity(session: Session) -> None:
    """One key of a member: what it may do, and which keys are linked."""
    context_id = session.context(session.args.context)
    key = session.acting(session.args.identity, context_id)
    body = session.routes.show_identity(context_id, key)
    rows = [
        ["Public Key", text_at(body, "data", "publicKey")],
        ["Capabilities", ", ".join(map(str, items_at(body, "data", "capabilities")))],
        ["Changes", str(value_at(body, "data", "changes"))],
        ["Yours", "yes" if value_at(body, "data", "owned") is True else "no"],
    ]
    main = value_at(body, "data", "linkedTo")
    if isinstance(main, str):
        rows.append(["Linked to", main])
    rows += [["Linked key", str(linked)] for linked in items_at(body, "data", "linkedKeys")]
    session.output.answer(body, Table(["Identity", "Value"], rows))


def _offer(session: Session) -> None:
    args = session.args
    if args.key is not None and not is_id(args.key):
        raise BadArgumentError(
            "the other device's key must be a public key, in base58",
            next_step="make one there: meroctl context identity generate",
        )
    context_id = session.context(args.context)
    request: dict[str, object] = {"identity": session.acting(args.acting, context_id)}
    if args.key is not None:
        request["key"] = args.key
    if args.capabilities is not None:
        request["capabilities"] = [each.strip() for each in args.capabilities.split(",") if each.strip()]
    if args.every:
        request["all"] = True
    body = session.routes.offer_link(context_id, request)
    code = text_at(body, "data", "code")
    may = ", ".join(map(str, items_at(body, "data", "capabilities")))
    session.output.answer(body, Table(["Link Code Created"], [["Successfully created a link code"]]))
    session.output.detail("The device may", may)
    session.output.detail("Valid for", f"{_MINUTES} minutes, for one device; a restart of this node ends it")
    if value_at(body, "data", "secret") is True:
        session.output.detail("Keep it secret", "whoever has it acts as you in this context, until you unlink that key")
    session.output.detail("On the other device", "meroctl context identity link --join")
    if not session.output.json_format and sys.stdout.isatty():
        _draw(code)
    session.output.detail("Link code", code)


def _draw(code: str) -> None:
    """The code for a camera, in half blocks; a picture that the terminal would break can't be read."""
    import segno  # noqa: PLC0415 - loading it takes longer than what most commands do

    picture = segno.make_qr(code, error="l")
    width = picture.symbol_size(border=_BORDER)[0]
    if width <= shutil.get_terminal_size().columns:
        picture.terminal(out=sys.stdout, border=_BORDER, compact=True)
    else:
        sys.stderr.write(f"a terminal of {width} columns would show the code as a picture, too\n")


def _take(session: Session) -> None:
    args = session.args
    if args.key is not None or args.capabilities is not None or args.every:
        raise BadArgumentError(
            "what the device may do is said where the code is made", next_step="give --join with --as or --name only"
        )
    request: dict[str, object] = {"code": _code(args.code, args.code_file)}
    if args.acting is not None:
        if not is_id(args.acting):
            raise BadArgumentError("--as must be a public key here, in base58")
        request["identity"] = args.acting
    body = session.routes.take_link(request)
    context_id, key = text_at(body, "data", "contextId"), text_at(body, "data", "publicKey")
    session.output.answer(body, Table(["Device Linked"], [["Successfully linked this device"]]))
    session.output.detail("Linked to", text_at(body, "data", "linkedTo"))
    name_joined(session, context_id, key, args.context_alias, None)


def _code(given: str | None, file: str | None) -> str:
    if given:
        return given.strip()
    if file is None:
        if not is_interactive():
            raise BadArgumentError(
                "no link code was given, and there is no terminal to ask", next_step="give --code-file FILE, or -"
            )
        try:
            return getpass.getpass("Link code: ").strip()
        except EOFError:
            raise BadArgumentError("no link code was typed", next_step="run it again") from None
    return _read(file)


def _read(file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST_CODE_BYTES + 1)
        else:
            with Path(file).expanduser().open("rb") as opened:
                data = opened.read(_MOST_CODE_BYTES + 1)
        text = data.decode().strip()
    except OSError as error:
        raise BadArgumentError(
            f"the file with the link code can't be read: {error.strerror}",
            next_step="check the path, or give - for standard input",
        ) from None
    except UnicodeDecodeError:
        raise BadArgumentError("the link code is not text") from None
    if not text or len(data) > _MOST_CODE_BYTES:
        raise BadArgumentError(f"the link code has 1 to {_MOST_CODE_BYTES} bytes")
    return text


def _ask(key: str, context_id: str, changes: object) -> None:
    lines = [
        f"This takes the linked key {key} out of the context {context_id}:",
        "  - that device can sign nothing for this context any more, and no token for it works",
        "  - it gets no further update: the others continue under a new key",
        f"  - its {changes} changes so far stay valid; you and your other devices go on",
        "  - the key can't be linked again: a device that comes back takes a new identity",
    ]
    confirm("Unlink this device?", otherwise="the device would be unlinked", before=lines)
