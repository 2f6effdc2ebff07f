"""`meroctl login`, `logout`, `whoami`: tokens for the node. Secrets come from a terminal or a file, never from argv."""

import os
import sys

from meroid.cli.meroctl.coming import coming
from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.printable import printable
from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.secret_input import need_terminal, new_password, secret_from, typed_new_password, typed_secret
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import value_at
from meroid.client.environment_token import VARIABLE
from meroid.client.exchange import Response, check_status, decode_json
from meroid.client.failures import ResourceNotFoundError
from meroid.client.tokens import TokenPair, claims_of, tokens_in
from meroid.clock import SystemClock
from meroid.errors import MeroidError


def login(session: Session) -> None:
    """Log in with a password or another root key, and keep the tokens where the Python client finds them too."""
    args = session.args
    if os.environ.get(VARIABLE, "").strip():
        raise BadArgumentError(
            f"{VARIABLE} is set, and would be sent in the place of this log-in's tokens", next_step=f"unset {VARIABLE}"
        )
    if args.dpop:
        session.routes.client.bind_log_ins()
    if any((args.near_key_file, args.phrase, args.phrase_file, args.pkcs11)):
        _login_with_key(session)
        return
    comes = coming(session)
    username = args.username or comes.username or _ask_name()
    if args.password_file is None:
        need_terminal("password", "--password-file")
    claims = _makes_owner(session)
    chosen = new_password(args.password_file) if comes.chooses else _password(args.password_file, claims=claims)
    secrets = {"username": username, "password": chosen} | _setup_code(session) | comes.fields
    proof = {"auth_method": "user_password", "public_key": username, "provider_data": secrets}
    response = session.routes.request_token({**proof, **_rest(session)})
    _keep(session, response, username=username, method="user_password", claims=claims)


def _login_with_key(session: Session) -> None:
    from meroid.cli.meroctl.proof_input import bind, named_key, request_tokens  # noqa: PLC0415 - start-up time
    from meroid.client.proofs import NearKey  # noqa: PLC0415 - start-up time
    from meroid.ids import AccountId  # noqa: PLC0415 - start-up time

    args = session.args
    if args.username is not None or args.password_file is not None:
        raise BadArgumentError("a user name or password was given beside another key", next_step="leave one out")
    key = named_key(args)
    assert key is not None  # noqa: S101 - the caller has looked
    claims = _makes_owner(session)
    comes = coming(session)
    response = request_tokens(session, key, _rest(session), _setup_code(session) | comes.fields)
    tokens = _keep(session, response, username=key.label, method=key.method, claims=claims)
    account = claims_of(tokens.access_token).get("account_id")
    if claims and isinstance(key, NearKey) and isinstance(account, str):
        bind(session, key, AccountId.parse(account))  # it couldn't certify an account that it didn't know yet


def _setup_code(session: Session) -> dict[str, object]:
    file = session.args.setup_code_file
    return {} if file is None else {"setup_code": secret_from(file, "set-up code")}


def _rest(session: Session) -> dict[str, object]:
    return {
        "client_name": str(session.routes.client.address).rstrip("/"),
        "timestamp": SystemClock().now_ms() // 1000,
    }


def _keep(session: Session, response: Response, *, username: str, method: str, claims: bool) -> TokenPair:
    """Keep the tokens of a log-in and tell of it."""
    tokens = tokens_in(response)
    with session.kept_tokens.exclusive():
        session.kept_tokens.save_login(tokens, username=username, method=method)
    where = session.target.name or session.target.url
    body = {"node": where, "username": username, "expires_at": tokens.expires_at}
    if claims:
        body["owner"] = True
    session.output.answer(body, Table(["Logged In"], [["Successfully logged in"]]))
    session.output.detail("Node", where)
    session.output.detail("User", username)
    if claims:
        session.output.detail("Owner", f"you are the owner of {where} now")
    return tokens


def logout(session: Session) -> None:
    """End the log-in on the node, and forget the tokens on this machine, whatever the node says."""
    kept = session.kept_tokens  # a token of the environment is the script's, and is revoked by its id
    with kept.exclusive():
        tokens = kept.load()
        problem = None if tokens is None else _end_on_node(session, tokens)
        had = kept.clear()
    session.output.info("logged out" if had else "there were no tokens for this node")
    if problem is not None:
        sys.stderr.write(
            f"warning: the node was not told ({printable(problem.reason)}): there the tokens end by themselves only\n"
        )


def _end_on_node(session: Session, tokens: TokenPair) -> MeroidError | None:
    """Tell the node; why that failed, unless the tokens open nothing there anyway."""
    try:
        response = session.routes.log_out(tokens)
        if response.status != _NO_TOKEN_OF_MINE:
            check_status(response)
    except MeroidError as error:
        return error
    return None


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
        "bound_to_key": cnf.get("jkt") if isinstance(cnf := claims.get("cnf"), dict) else None,
    }
    rows = [[name, _shown(value)] for name, value in zip(_WHO, facts.values(), strict=True) if value is not None]
    session.output.answer(facts, Table(["Signed In", "Value"], rows))


_NO_TOKEN_OF_MINE = 401
_WHO = ("Node", "Name", "User", "Account", "Permissions", "Expires", "Bound to Key")


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


def _password(file: str | None, *, claims: bool) -> str:
    if file is not None:
        return secret_from(file, "password")
    if not claims:
        return typed_secret("Password: ")
    sys.stderr.write("This node has no owner yet: this log-in makes you its owner, with the password you choose now.\n")
    sys.stderr.flush()
    return typed_new_password()
