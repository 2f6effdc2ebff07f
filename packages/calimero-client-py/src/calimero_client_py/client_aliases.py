"""Aliases of contexts, of identities inside a context, and of applications."""

from calimero_client_py import shapes
from calimero_client_py.arguments import alias_argument, id_argument, text_argument
from calimero_client_py.requests import RequestMethods
from calimero_client_py.results import DictResult
from meroid.client.routes import AliasScope
from meroid.ids import BadIdError, Id32


def _context(value: object) -> str:
    return id_argument("context ID", "context_id", value)


class AliasMethods(RequestMethods):
    """Methods on aliases. Creating an identity alias takes the context first, all others take it last."""

    def create_context_alias(self, alias: str, context_id: str) -> DictResult:
        """Name a context."""
        return self._create(AliasScope.CONTEXT, alias, _context(context_id), None)

    def create_context_identity_alias(self, context_id: str, alias: str, public_key: str) -> DictResult:
        """Name an identity in a context."""
        context = _context(context_id)
        return self._create(AliasScope.IDENTITY, alias, id_argument("public key", "public_key", public_key), context)

    def create_application_alias(self, alias: str, application_id: str) -> DictResult:
        """Name an application."""
        application = id_argument("application ID", "application_id", application_id)
        return self._create(AliasScope.APPLICATION, alias, application, None)

    def create_alias_generic(self, alias: str, value: str, scope: str | None = None) -> DictResult:
        """Name a context, whatever the scope says."""
        if scope is not None:
            text_argument("scope", scope)
        return self._create(AliasScope.CONTEXT, alias, id_argument("context ID", "value", value), None)

    def delete_context_alias(self, alias: str) -> DictResult:
        """Take the name of a context away."""
        return self._delete(AliasScope.CONTEXT, alias, None)

    def delete_context_identity_alias(self, alias: str, context_id: str) -> DictResult:
        """Take the name of an identity away."""
        return self._delete(AliasScope.IDENTITY, alias, _context(context_id))

    def delete_application_alias(self, alias: str) -> DictResult:
        """Take the name of an application away."""
        return self._delete(AliasScope.APPLICATION, alias, None)

    def list_context_aliases(self) -> DictResult:
        """All names of contexts."""
        return self._ask(shapes.ALIASES, lambda: self._routes.aliases(AliasScope.CONTEXT))

    def list_context_identity_aliases(self, context_id: str) -> DictResult:
        """All names of identities in a context."""
        context = _context(context_id)
        return self._ask(shapes.ALIASES, lambda: self._routes.aliases(AliasScope.IDENTITY, context))

    def list_application_aliases(self) -> DictResult:
        """All names of applications."""
        return self._ask(shapes.ALIASES, lambda: self._routes.aliases(AliasScope.APPLICATION))

    def lookup_context_alias(self, alias: str) -> DictResult:
        """What a name of a context stands for."""
        return self._lookup(AliasScope.CONTEXT, alias, None)

    def lookup_context_identity_alias(self, alias: str, context_id: str) -> DictResult:
        """What a name of an identity stands for."""
        return self._lookup(AliasScope.IDENTITY, alias, _context(context_id))

    def lookup_application_alias(self, alias: str) -> DictResult:
        """What a name of an application stands for."""
        return self._lookup(AliasScope.APPLICATION, alias, None)

    def resolve_context_alias(self, alias: str) -> DictResult:
        """A context from its name, or from its id."""
        return self._resolve(AliasScope.CONTEXT, alias, None)

    def resolve_context_identity_alias(self, alias: str, context_id: str) -> DictResult:
        """An identity from its name, or from its key."""
        return self._resolve(AliasScope.IDENTITY, alias, _context(context_id))

    def resolve_application_alias(self, alias: str) -> DictResult:
        """An application from its name, or from its id."""
        return self._resolve(AliasScope.APPLICATION, alias, None)

    def _create(self, scope: AliasScope, alias: object, value: str, context: str | None) -> DictResult:
        name = alias_argument(alias)
        return self._ask(shapes.EMPTY, lambda: self._routes.create_alias(scope, name, value, context))

    def _delete(self, scope: AliasScope, alias: object, context: str | None) -> DictResult:
        name = alias_argument(alias)
        return self._ask(shapes.EMPTY, lambda: self._routes.delete_alias(scope, name, context))

    def _lookup(self, scope: AliasScope, alias: object, context: str | None) -> DictResult:
        name = alias_argument(alias)
        return self._ask(shapes.LOOKUP, lambda: self._routes.lookup_alias(scope, name, context))

    def _resolve(self, scope: AliasScope, alias: object, context: str | None) -> DictResult:
        found = self._lookup(scope, alias, context)
        name = alias_argument(alias)
        if found["data"]["value"] is not None:
            return DictResult(kind="Lookup", data=dict(found))
        try:
            Id32.parse(name)
        except BadIdError:
            return DictResult(alias=name, value=None)
        return DictResult(kind="Parsed", data=name)
