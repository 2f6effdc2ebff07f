"""Routes of linked keys: a second device in one membership; beside the wire."""

from typing import Final

import msgspec

from meroid.access.decide import Resource
from meroid.access.permissions import EXECUTE, JOIN_CONTEXT, LIST_CONTEXTS, NEW_IDENTITY, Permission
from meroid.http.contract import ENTERS, READS, WRITES, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Requires, SignedIn, SocketEndpoint
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import ALL, Capability
from meroid.service.contexts import ContextService
from meroid.service.gate import Gate
from meroid.service.link_codes import decode_link_code
from meroid.service.linking import Identity, LinkingService
from meroid.wire import admin_api as shapes, node_answers as gives

_IDENTITIES: Final = "/admin-api/contexts/{context_id}/identities"


class LinksApi:
    """Handlers: decode, one service call, encode."""

    def __init__(self, *, linking: LinkingService, contexts: ContextService, gate: Gate) -> None:
        self._linking = linking
        self._contexts = contexts
        self._gate = gate

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; where the identity stands in the body the handler authorises."""
        return [
            Endpoint("POST", f"{_IDENTITIES}/link", self.offer, SignedIn()),
            Endpoint("POST", f"{_IDENTITIES}/unlink", self.unlink, SignedIn()),
            Endpoint("GET", f"{_IDENTITIES}/{{identity}}", self.show, SignedIn()),
            Endpoint("POST", "/admin-api/contexts/link", self.take, Requires(JOIN_CONTEXT)),
        ]

    @speaks(
        takes=shapes.LinkBody,
        gives=shapes.LinkCodeData,
        asks="context:execute",
        refuses=f"unknown_capability not_the_main_key no_such_identity too_many_link_offers {WRITES}",
    )
    def offer(self, request: ApiRequest) -> ApiResponse:
        """Make a link code."""
        context_id = request.id_param("context_id", ContextId)
        body = request.json(shapes.LinkBody)
        self._may(request, EXECUTE, context_id, body.identity)
        given = self._wanted(request, context_id, body)
        made = self._linking.offer(
            request.principal, context_id, body.identity, key=body.key, capabilities=given, at=request.at
        )
        data = shapes.LinkCodeData(
            code=made.code.text,
            secret=made.code.salt is not None,
            expires_at=made.ends_at,
            capabilities=shapes.names_of(made.capabilities),
        )
        return ApiResponse.data(data)

    @speaks(
        takes=shapes.TakeLinkBody, gives=gives.Linked, refuses=f"bad_link_code link_code_expired pool_full {ENTERS}"
    )
    def take(self, request: ApiRequest) -> ApiResponse:
        """Become a linked key by a code."""
        body = request.json(shapes.TakeLinkBody)
        if body.identity is None:
            self._gate.authorise(request.principal, NEW_IDENTITY, Resource())
        code = decode_link_code(body.code.strip())
        context_id, key = self._linking.take(request.principal, code, body.identity, request.at)
        return ApiResponse.data(
            {"contextId": str(context_id), "publicKey": str(key), "linkedTo": str(code.ticket.inviter)}
        )

    @speaks(
        takes=shapes.UnlinkBody,
        gives=gives.Unlinked,
        asks="context:execute",
        refuses=f"not_the_main_key no_such_identity {WRITES}",
    )
    def unlink(self, request: ApiRequest) -> ApiResponse:
        """Take a linked key away."""
        context_id = request.id_param("context_id", ContextId)
        body = request.json(shapes.UnlinkBody)
        self._may(request, EXECUTE, context_id, body.identity)
        stay = self._linking.unlink(request.principal, context_id, body.identity, body.key, request.at)
        return ApiResponse.data({"publicKey": str(body.key), "changes": stay})

    @speaks(gives=shapes.IdentityData, asks="context:list", refuses=f"no_such_identity {READS}")
    def show(self, request: ApiRequest) -> ApiResponse:
        """One key of a member, with the keys that are linked to it."""
        context_id = request.id_param("context_id", ContextId)
        key = request.id_param("identity", PublicKey)
        self._may(request, LIST_CONTEXTS, context_id)
        return ApiResponse.data(_shown(self._linking.identity(request.principal, context_id, key)))

    def _wanted(
        self, request: ApiRequest, context_id: ContextId, body: shapes.LinkBody
    ) -> frozenset[Capability] | None:
        """What the device should be able to do; nothing for the default."""
        if body.capabilities is not None:
            return frozenset(each for name in body.capabilities for each in shapes.capabilities_named(name))
        if not body.all:
            return None
        return ALL & self._contexts.capabilities_of(request.principal, context_id, body.identity)

    def _may(
        self, request: ApiRequest, needed: Permission, context_id: ContextId, executor: PublicKey | None = None
    ) -> None:
        resource = Resource(
            context=context_id,
            application=self._contexts.application_of(context_id),
            executor=executor,
            executor_account=None if executor is None else self._contexts.account_of(executor),
        )
        self._gate.authorise(request.principal, needed, resource)


def _shown(identity: Identity) -> shapes.IdentityData:
    member = identity.member
    return shapes.IdentityData(
        public_key=str(member.key),
        capabilities=shapes.names_of(member.capabilities),
        rank=shapes.rank_numbers(member.rank),
        owned=identity.owned,
        linked_keys=shapes.id_texts(identity.linked),
        changes=identity.changes,
        linked_to=msgspec.UNSET if member.linked_to is None else str(identity.main),
    )
