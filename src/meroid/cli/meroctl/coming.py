"""Coming onto a node: what `login` sends beside the proof, from a link or for a sign-up."""

from dataclasses import dataclass
from typing import Final

from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.secret_input import need_terminal, secret_from, typed_secret
from meroid.cli.meroctl.session import Session
from meroid.client.address import NodeAddress
from meroid.client.answers import items_at

_WHAT: Final = "log-in link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """`fields` go beside the proof; `chooses` says that the root key is new here, `username` that it is known."""

    fields: dict[str, object]
    chooses: bool
    username: str | None = None

    def __repr__(self) -> str:  # the fields may hold a code
        return f"Coming(chooses={self.chooses})"


def coming(session: Session) -> Coming:
    """What the command line says about it.

    Raises:
        BadArgumentError: the link is for another node, or can't be read.
    """
    args = session.args
    if args.sign_up:
        return Coming(fields={"sign_up": True}, chooses=True)
    if not args.code and args.code_file is None:
        return Coming(fields={}, chooses=False)
    if args.code_file == "-" == args.password_file:
        raise BadArgumentError(
            "link and password can't both come from standard input", next_step="put one of them into a file"
        )
    text = _link(args.code_file).strip()
    code = _checked(session, text)
    names = [each for each in items_at(session.routes.see_link(code), "data", "usernames") if isinstance(each, str)]
    return Coming(fields={"login_code": code}, chooses=True, username=names[0] if len(names) == 1 else None)


def _link(file: str | None) -> str:
    if file is not None:
        return secret_from(file, _WHAT)
    need_terminal(_WHAT, "--code-file")
    return typed_secret("Log-in link: ", _WHAT)


def _checked(session: Session, text: str) -> str:
    """The code alone; it goes to no other node than the one that the link names."""
    before, sign, code = text.rpartition("#code=")
    if not sign:
        return text
    named = NodeAddress.parse(before)
    if not named.is_same_place(session.routes.client.address):
        raise BadArgumentError(
            f"the link is for {named.origin}, not for the node that was chosen",
            next_step=f"name it with --api {named.origin}, or give the part behind #code= alone",
        )
    return code
