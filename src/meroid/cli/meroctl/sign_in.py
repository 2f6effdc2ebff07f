"""`meroctl login`, `logout`, `whoami`: tokens for the node. Passwords come from a terminal or a file, never from argv."""

import getpass
import sys
from pathlib import Path

from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import value_at
from meroid.client.exchange import check_status, decode_json
from meroid.client.failures import ResourceNotFoundError
from meroid.client.tokens import claims_of, tokens_in
from meroid.clock import SystemClock

_MOST_SECRET_BYTES = 4096


def login(session: Session) -> None:
    """Log in with a name and a password, and keep the tokens where the Python client finds them too."""
    args = session.args
    username = args.username if args.username is not None else _ask_name()
    if args.password_file is None:
        _need_terminal()
    claims = _makes_owner(session)
    secrets = {"username": username, "password": _password(args.password_file, claims=claims)}
    if args.setup_code_file is not None:
        secrets["setup_code"] = _secret_from(args.setup_code_file, "set-up code")
    response = session.routes.request_token(
        {
            "auth_method": "user_password",
            "public_key": username,
            "client_name": str(session.routes.client.address).rstrip("/"),
            "timestamp": SystemClock().now_ms() // 1000,
            "provider_data": secrets,
        }
    )
    tokens = tokens_in(response)
    with session.tokens.exclusive():
        session.tokens.save_login(tokens, username=username)
    where = session.target.name or session.target.url
    body = {"node": where, "username": username, "expires_at": tokens.expires_at}
    if claims:
        body["owner"] = True
    session.output.answer(body, Table(["Logged In"], [["Successfully logged in"]]))
    session.output.detail("Node", where)
    session.output.detail("User", username)
    if claims:
        session.output.detail("Owner", f"you are the owner of {where} now")


def logout(session: Session) -> None:
    """Forget the tokens on this machine."""
    with session.tokens.exclusive():
        had = session.tokens.clear()
    session.output.info("logged out" if had else "there were no tokens for this node")


def whoami(session: Session) -> None:
    """Who the node takes us for."""
    tokens = session.tokens.load()
    response = session.routes.validate_token()
    where = session.target.name or session.target.url
    try:
        check_status(response)
    except ResourceNotFoundError:
        session.output.answer(
            {"node": where, "user": None}, "This node asks for no token: every call acts for the node's own account."
        )
        return
    decode_json(response)
    claims = claims_of(tokens.access_token) if tokens is not None else {}
    user = response.headers.get("x-auth-user", "")
    permissions = [each for each in response.headers.get("x-auth-permissions", "").split(",") if each]
    facts = {
        "node": where,
        "username": session.tokens.username(),
        "user": user,
        "account_id": claims.get("account_id"),
        "permissions": permissions,
        "expires_at": tokens.expires_at if tokens is not None else None,
    }
    rows = [[name, _shown(value)] for name, value in zip(_WHO, facts.values(), strict=True) if value is not None]
    session.output.answer(facts, Table(["Signed In", "Value"], rows))


_WHO = ("Node", "Name", "User", "Account", "Permissions", "Expires")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int):
        from datetime import UTC, datetime  # noqa: PLC0415 - only here

        return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _ask_name() -> str:
    if not is_interactive():
        raise BadArgumentError("no user name was given, and there is no terminal to ask", next_step="give --username")
    sys.stderr.write("User name: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _makes_owner(session: Session) -> bool:
    """Whether this log-in makes the first owner of the node, whose password is what is typed now."""
    if session.tokens.load() is not None:
        return False
    response = session.routes.providers()
    return response.status == 200 and value_at(decode_json(response), "data", "setup_required") is True


def _need_terminal() -> None:
    if not is_interactive():
        raise BadArgumentError(
            "no password was given, and there is no terminal to ask", next_step="give --password-file FILE, or -"
        )


def _password(file: str | None, *, claims: bool) -> str:
    if file is not None:
        return _secret_from(file, "password")
    if not claims:
        return _typed("Password: ")
    sys.stderr.write("This node has no owner yet: this log-in makes you its owner, with the password you choose now.\n")
    sys.stderr.flush()
    password = _typed("Password: ")
    if _typed("Password again: ") != password:
        raise BadArgumentError("the two passwords are not the same", next_step="run it again; nothing was sent")
    return password


def _typed(question: str) -> str:
    try:
        return getpass.getpass(question)
    except EOFError:
        raise BadArgumentError("no password was typed", next_step="run it again") from None


def _secret_from(file: str, what: str) -> str:
    try:
        data = sys.stdin.buffer.read(_MOST_SECRET_BYTES + 1) if file == "-" else _read(Path(file))
        text = data.decode()
    except OSError as error:
        raise BadArgumentError(
            f"the {what} file can't be read: {error.strerror}", next_step="check the path, or give - for standard input"
        ) from None
    except UnicodeDecodeError:
        raise BadArgumentError(f"the {what} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(data) > _MOST_SECRET_BYTES:
        raise BadArgumentError(f"the {what} has 1 to {_MOST_SECRET_BYTES} bytes")
    return text


def _read(path: Path) -> bytes:
    with path.expanduser().open("rb") as file:
        return file.read(_MOST_SECRET_BYTES + 1)
