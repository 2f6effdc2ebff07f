"""What every command needs: the chosen node, its routes, names resolved to ids, and the output."""

import os
from argparse import Namespace
from functools import cached_property
from pathlib import Path

from meroid.cli.meroctl.output import Output
from meroid.cli.meroctl.refusals import (
    AliasTakenError,
    BadAliasError,
    NoDefaultError,
    UnknownAliasError,
)
from meroid.cli.meroctl.tables import Table
from meroid.cli.meroctl.targets import Target, choose_target, open_registry
from meroid.client.answers import items_at, value_at
from meroid.client.environment_token import EnvironmentToken, environment_token
from meroid.client.node import NodeClient
from meroid.client.node_tokens import NodeTokens
from meroid.client.registry import NodeRegistry
from meroid.client.routes import AliasScope, NodeRoutes
from meroid.client.token_cache import TokenCache
from meroid.limits import ALIAS_BYTES

DEFAULT_ALIAS = "default"

_HOW_TO_CHOOSE = {
    AliasScope.CONTEXT: "name one with --context, or set the default: meroctl context use CONTEXT",
    AliasScope.IDENTITY: "name one with --as, or set the default: meroctl context identity use IDENTITY",
    AliasScope.APPLICATION: "name one: meroctl app ls",
}
_HOW_TO_LIST = {
    AliasScope.CONTEXT: "see them: meroctl context ls; meroctl context alias ls",
    AliasScope.IDENTITY: "see them: meroctl context identity ls; meroctl context identity alias ls",
    AliasScope.APPLICATION: "see them: meroctl app ls",
}


class Session:
    """One run of `meroctl`."""

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self.output = Output(json_format=args.output_format == "json")

    @cached_property
    def registry(self) -> NodeRegistry:
        """The registry of this user."""
        return open_registry()

    @cached_property
    def target(self) -> Target:
        """The node that was chosen."""
        home = Path(self.args.home).expanduser()
        return choose_target(self.args.node, self.args.api, home, self.registry)

    @cached_property
    def tokens(self) -> NodeTokens | EnvironmentToken:
        """The tokens that are sent: the one in `MEROID_TOKEN`, or those that are kept for this node."""
        return environment_token(os.environ) or self.kept_tokens

    @cached_property
    def kept_tokens(self) -> NodeTokens:
        """Where the tokens for this node are kept; a node without a name goes by its address."""
        from meroid.client.address import NodeAddress  # noqa: PLC0415 - loaded with the client anyway

        address = NodeAddress.parse(self.target.url)
        name = self.target.name or str(address)
        registered = self.target.registered
        return NodeTokens(
            TokenCache(name),
            address=address,
            registry=self.registry if registered else None,
            name=name if registered else None,
        )

    @cached_property
    def routes(self) -> NodeRoutes:
        """The routes of the chosen node."""
        from meroid.client.proof_key import ProofKeyFile  # noqa: PLC0415 - loaded with the client anyway

        key = ProofKeyFile(self.kept_tokens.proof_key_path)
        return NodeRoutes(NodeClient(self.target.url, tokens=self.tokens, proof_key=key))

    # --- names

    def context(self, text: str | None) -> str:
        """The id of a context from its alias, its id, or nothing (the default)."""
        return self._resolve(AliasScope.CONTEXT, text, None)

    def application(self, text: str) -> str:
        """The id of an application from its alias or id."""
        return self._resolve(AliasScope.APPLICATION, text, None)

    def identity(self, text: str, context_id: str) -> str:
        """A key from its alias in that context, or from itself."""
        return self._resolve(AliasScope.IDENTITY, text, context_id)

    def acting(self, text: str | None, context_id: str) -> str:
        """The identity to act as: the named one, the default, or the only one that this node holds there."""
        if text is not None:
            return self.identity(text, context_id)
        default = self.lookup(AliasScope.IDENTITY, DEFAULT_ALIAS, context_id)
        if default is not None:
            return default
        owned = items_at(self.routes.context_identities(context_id, owned=True), "data", "identities")
        if len(owned) == 1 and isinstance(owned[0], str):
            return owned[0]
        if not owned:
            raise NoDefaultError(
                "no identity was named, and none of yours is a member there now",
                next_step="join by an invitation, or name the identity that you had with --as to see why it ended",
            )
        raise NoDefaultError(
            f"no identity was named, and there is no default; this node holds {len(owned)} identities there",
            next_step=_HOW_TO_CHOOSE[AliasScope.IDENTITY],
        )

    def lookup(self, scope: AliasScope, alias: str, context_id: str | None) -> str | None:
        """What an alias names, or None."""
        value = value_at(self.routes.lookup_alias(scope, alias, context_id), "data", "value")
        return value if isinstance(value, str) else None

    def _resolve(self, scope: AliasScope, text: str | None, context_id: str | None) -> str:
        # An id is never looked up as an alias: an alias that looks like an id could lead elsewhere.
        if text is not None and is_id(text):
            return text
        name = DEFAULT_ALIAS if text is None else text
        found = self.lookup(scope, name, context_id) if _fits(name) else None
        if found is not None:
            return found
        if text is None:
            raise NoDefaultError(f"no {scope} was named, and there is no default", next_step=_HOW_TO_CHOOSE[scope])
        raise UnknownAliasError(
            f"{text!r} names no {scope}: it is neither an alias nor an id", next_step=_HOW_TO_LIST[scope]
        )

    # --- aliases

    def check_free(self, scope: AliasScope, alias: str, context_id: str | None = None) -> None:
        """Refuse an alias that can't be given.

        Raises:
            BadAliasError: it can't be an alias.
            AliasTakenError: it names something already.
        """
        check_alias(alias)
        if (held := self.lookup(scope, alias, context_id)) is not None:
            raise AliasTakenError(f"the alias {alias!r} names {held}")

    def give_alias(self, scope: AliasScope, alias: str, value: str, context_id: str | None = None) -> None:
        """Create an alias, and show it."""
        body = self.routes.create_alias(scope, alias, value, context_id)
        self.output.answer(body, Table(["Alias Created"], [["Successfully created alias"]]))

    def set_alias(
        self, scope: AliasScope, alias: str, value: str, context_id: str | None = None, *, force: bool
    ) -> None:
        """Create an alias; with `force` also in place of another one."""
        check_alias(alias)
        held = self.lookup(scope, alias, context_id)
        if held == value:
            self.output.info(f"alias {alias!r} names {value} already")
            return
        if held is not None:
            if not force:
                raise AliasTakenError(f"the alias {alias!r} names {held}", next_step="replace it with --force")
            self.routes.delete_alias(scope, alias, context_id)
        self.give_alias(scope, alias, value, context_id)


def is_id(text: str) -> bool:
    """Whether the text is base58 of 32 bytes."""
    from meroid.ids import BadIdError, Id32  # noqa: PLC0415 - base58 is needed for this only

    try:
        Id32.parse(text)
    except BadIdError:
        return False
    return True


def check_alias(alias: str) -> None:
    """Refuse a text that can't be an alias.

    Raises:
        BadAliasError: empty, too long, with control characters, or an id.
    """
    if not _fits(alias):
        raise BadAliasError(f"an alias has 1 to {ALIAS_BYTES.value} bytes, this one has {len(alias.encode())}")
    if not alias.isprintable():
        raise BadAliasError("the alias has characters that can't be printed")
    if is_id(alias):
        raise BadAliasError("the alias looks like an id, so it could be taken for another thing")


def _fits(alias: str) -> bool:
    return 0 < len(alias.encode()) <= ALIAS_BYTES.value
