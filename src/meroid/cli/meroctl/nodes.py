"""`meroctl node …` and `meroctl peers`."""

from pathlib import Path

from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.address import NodeAddress
from meroid.client.answers import number_at
from meroid.client.registry import RegisteredNode
from meroid.client.tokens import TokenPair


def show_peers(session: Session) -> None:
    """How many peers the node is connected to."""
    body = session.routes.peers()
    row = ["Connected peers", str(number_at(body, "count"))]
    session.output.answer(body, Table(["Peers Count", "Count"], [row]))


def add_node(session: Session) -> None:
    """Register a node by address, or a local one by its home."""
    args = session.args
    if not args.name or not args.name.isprintable() or len(args.name) > 200:
        raise BadArgumentError("the name must be 1 to 200 printable characters", next_step="choose another name")
    if args.refresh_token is not None and args.access_token is None:
        raise BadArgumentError("--refresh-token needs --access-token", next_step="give both, or log in")
    tokens = None if args.access_token is None else TokenPair.checked(args.access_token, args.refresh_token)
    url, home = _location(args.location)
    added = session.registry.add(RegisteredNode(name=args.name, url=url, home=home, tokens=tokens))
    session.output.info(f"node {args.name!r} {'added' if added else 'is there already'}")


def remove_node(session: Session) -> None:
    """Forget a node."""
    session.registry.remove(session.args.name)
    session.output.info(f"node {session.args.name!r} removed")


def use_node(session: Session) -> None:
    """Make a node the active one."""
    session.registry.use(session.args.name)
    session.output.info(f"node {session.args.name!r} is active now")


def list_nodes(session: Session) -> None:
    """All registered nodes; tokens are never shown."""
    active = session.registry.active()
    facts = [
        {
            "name": node.name,
            "type": "Remote" if node.home is None else "Local",
            "location": node.url if node.home is None else str(node.home),
            "active": node.name == active,
        }
        for node in session.registry.all()
    ]
    rows = [
        [str(fact["name"]), str(fact["type"]), str(fact["location"]), "✓" if fact["active"] else ""] for fact in facts
    ]
    session.output.answer(facts, Table(["Name", "Type", "Location", "Active"], rows))


def _location(text: str) -> tuple[str | None, Path | None]:
    if text.startswith(("http://", "https://")):
        return str(NodeAddress.parse(text)), None
    if "://" in text:
        NodeAddress.parse(text)  # says what is wrong with it
    return None, Path(text).expanduser().absolute()
