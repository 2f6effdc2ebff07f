"""`meroctl app …`: the applications of the node."""

from pathlib import Path

from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import ROUNDED, Table
from meroid.client.answers import items_at, number_at, text_at, value_at


def list_applications(session: Session) -> None:
    """All installed applications."""
    body = session.routes.applications()
    rows = [_row(item) for item in items_at(body, "data", "apps")]
    table = Table(["ID", "Source", "Size", "Blob"], rows, ROUNDED)
    session.output.answer(body, table if rows else "No applications found")


def get_application(session: Session) -> None:
    """One application."""
    body = session.routes.application(session.application(session.args.application))
    item = value_at(body, "data", "application")
    if item is None:
        session.output.answer(body, "No application found")
        return
    session.output.answer(body, Table(["ID", "Name", "Version", "Description"], [_row(item)], ROUNDED))


def install_application(session: Session) -> None:
    """Install from a file that the node can read, or from an address."""
    args = session.args
    common: dict[str, object] = {
        "metadata": list(args.metadata.encode()),
        "package": args.package,
        "version": args.version,
    }
    if args.path is not None:
        if args.hash is not None:
            raise BadArgumentError("--hash goes with --url only", next_step="leave it out")
        path = Path(args.path).expanduser()
        if not path.is_file():
            raise BadArgumentError(f"there is no file {args.path!r}", next_step="check the path")
        body = session.routes.install_dev_application({"path": str(path.resolve()), **common})
    else:
        body = session.routes.install_application({"url": args.url, "hash": args.hash, **common})
    text = f"Successfully installed application '{text_at(body, 'data', 'applicationId')}'"
    session.output.answer(body, Table(["Application Installed"], [[text]], ROUNDED))


def uninstall_application(session: Session) -> None:
    """Remove an application from the node."""
    body = session.routes.uninstall_application(session.application(session.args.application))
    text = f"Successfully uninstalled application '{text_at(body, 'data', 'applicationId')}'"
    session.output.answer(body, Table(["Application Uninstalled"], [[text]], ROUNDED))


def _row(item: object) -> list[str]:
    return [
        text_at(item, "id"),
        text_at(item, "source"),
        str(number_at(item, "size")),
        f"Blob: {text_at(item, 'blob', 'bytecode')}",
    ]
