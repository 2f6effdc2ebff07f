"""Routes of contexts, identities, invitations and capabilities (`wire/node.md` §1.3 to §1.5)."""

import time
from collections.abc import Callable
from typing import Any, Final

import base58
import msgspec

from meroid.access.decide import Resource
from meroid.access.permissions import (
    CREATE_CONTEXT,
    EXECUTE,
    JOIN_CONTEXT,
    LIST_CONTEXTS,
    NEW_IDENTITY,
    Permission,
    parse_permission,
)
from meroid.access.principal import Principal
from meroid.errors import UnavailableError
from meroid.http.contract import ENTERS, READS, WRITES, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Requires, SignedIn, SocketEndpoint
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import NotAMemberError
from meroid.ledger.capability import Capability
from meroid.ledger.operation import Grant, Remove, Revoke
from meroid.service.catching_up import SyncIncompleteError
from meroid.service.contexts import Change, ContextService, ContextView, Founding
from meroid.service.gate import Gate, PermissionDeniedError
from meroid.service.invitations import decode_ticket, encode_ticket
from meroid.service.joining import JoiningService, WrongInviteeError
from meroid.service.replica import ContextNotFoundError
from meroid.service.rotation import RotationService
from meroid.service.tickets import Ticket
from meroid.wire import admin_api as shapes, invitations as wire, node_answers as gives
from meroid.wire.envelope import Envelope
from meroid.wire.json_body import decode_json

_INVITE: Final = parse_permission("context:invite")
_GRANT: Final = parse_permission("context:capabilities:grant")
_REVOKE: Final = parse_permission("context:capabilities:revoke")
_SYNC_S: Final = 20.0  # syncing of further contexts isn't begun after so long
_ONE: Final = "/admin-api/contexts/{context_id}"


class ContextsApi:
    """Handlers: decode, one service call, encode."""

    def __init__(
        self, *, contexts: ContextService, joining: JoiningService, rotation: RotationService, gate: Gate
    ) -> None:
        self._contexts = contexts
        self._joining = joining
        self._rotation = rotation
        self._gate = gate

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; where the resource stands in the body the handler authorises."""
        return [
            Endpoint("GET", "/admin-api/contexts", self.list_contexts, Requires(LIST_CONTEXTS)),
            Endpoint("POST", "/admin-api/contexts", self.create, SignedIn()),
            Endpoint("GET", _ONE, self.get, SignedIn()),
            Endpoint("GET", f"{_ONE}/identities", self.identities, SignedIn()),
            Endpoint("GET", f"{_ONE}/identities-owned", self.identities_owned, SignedIn()),
            Endpoint("POST", f"{_ONE}/identities/rotate", self.rotate, SignedIn()),
            Endpoint("GET", f"{_ONE}/members", self.members, SignedIn()),
            Endpoint("POST", f"{_ONE}/capabilities/grant", self.grant, SignedIn()),
            Endpoint("POST", f"{_ONE}/capabilities/revoke", self.revoke, SignedIn()),
            Endpoint("POST", "/admin-api/contexts/sync", self.sync_all, Requires(LIST_CONTEXTS)),
            Endpoint("POST", "/admin-api/contexts/sync/{context_id}", self.sync, SignedIn()),
            Endpoint("POST", "/admin-api/identity/context", self.generate_identity, Requires(NEW_IDENTITY)),
            Endpoint("POST", "/admin-api/contexts/invite", self.invite, SignedIn()),
            Endpoint("POST", "/admin-api/contexts/invite_by_open_invitation", self.invite_openly, SignedIn()),
            Endpoint("POST", "/admin-api/contexts/join", self.join, Requires(JOIN_CONTEXT)),
            Endpoint("POST", "/admin-api/contexts/join_by_open_invitation", self.join_openly, Requires(JOIN_CONTEXT)),
        ]

    @speaks(gives=gives.Contexts)
    def list_contexts(self, request: ApiRequest) -> ApiResponse:
        """Contexts of the caller's account, as far as its token goes."""
        views = self._contexts.list(request.principal)
        seen = [view for view in views if self._sees(request.principal, view)]
        return ApiResponse.data({"contexts": [_context(view) for view in seen]})

    @speaks(
        takes=shapes.CreateContextBody,
        gives=gives.Membership,
        asks="context:create",
        refuses=f"application_not_found context_seed_used pool_full not_compiled function_call_failed delta_too_large bad_module {WRITES}",
    )
    def create(self, request: ApiRequest) -> ApiResponse:
        """Make a context."""
        body = request.json(shapes.CreateContextBody)
        self._gate.authorise(request.principal, CREATE_CONTEXT, Resource(application=body.application_id))
        founding = Founding(
            application_id=body.application_id,
            protocol=body.protocol,
            seed=None if body.context_seed is None else bytes(body.context_seed),
            parameters=bytes(body.initialization_params),
        )
        context_id, member = self._contexts.create(request.principal, founding, request.at)
        return ApiResponse.data({"contextId": str(context_id), "memberPublicKey": str(member)})

    @speaks(gives=shapes.ContextData, asks="context:list", refuses=READS)
    def get(self, request: ApiRequest) -> ApiResponse:
        """One context."""
        return self._in_context(request, LIST_CONTEXTS, lambda who, which: _context(self._contexts.get(who, which)))

    @speaks(gives=gives.Identities, asks="context:list", refuses=READS)
    def identities(self, request: ApiRequest) -> ApiResponse:
        """All members."""
        return self._in_context(
            request,
            LIST_CONTEXTS,
            lambda who, which: {"identities": shapes.id_texts(self._contexts.get(who, which).executors)},
        )

    @speaks(gives=gives.Identities, asks="context:list", refuses=READS)
    def identities_owned(self, request: ApiRequest) -> ApiResponse:
        """Members that are identities of the caller's account."""
        return self._in_context(
            request,
            LIST_CONTEXTS,
            lambda who, which: {"identities": shapes.id_texts(self._contexts.owned(who, which))},
        )

    @speaks(gives=gives.Members, asks="context:list", refuses=READS)
    def members(self, request: ApiRequest) -> ApiResponse:
        """Members with their capabilities; beside the wire."""

        def listed(who: Principal, which: ContextId) -> object:
            owned = set(self._contexts.owned(who, which))
            members = self._contexts.members(who, which)
            mains = {member.line: member.key for member in members if member.linked_to is None}
            return {
                "members": [
                    shapes.MemberData(
                        public_key=str(member.key),
                        capabilities=shapes.names_of(member.capabilities),
                        rank=shapes.rank_numbers(member.rank),
                        owned=member.key in owned,
                        linked_to=msgspec.UNSET if member.linked_to is None else str(mains[member.linked_to]),
                    )
                    for member in members
                ]
            }

        return self._in_context(request, LIST_CONTEXTS, listed)

    @speaks(
        takes=(shapes.CapabilitiesBody, shapes.CapabilityPairs),
        asks="context:capabilities:grant",
        refuses=f"unknown_capability own_linked_key {WRITES}",
    )
    def grant(self, request: ApiRequest) -> ApiResponse:
        """Give capabilities, in both body forms."""
        context_id, signer, pairs = self._capabilities(request, _GRANT)
        bodies = [
            Grant(member=member, capability=capability)
            for member, name in pairs
            for capability in shapes.capabilities_named(name)
            if capability not in self._contexts.capabilities_of(request.principal, context_id, member)
        ]
        self._contexts.change(request.principal, context_id, signer, list(dict.fromkeys(bodies)), request.at)
        return ApiResponse.data(None)

    @speaks(
        takes=(shapes.CapabilitiesBody, shapes.CapabilityPairs),
        asks="context:capabilities:revoke",
        refuses=f"unknown_capability own_linked_key {WRITES}",
    )
    def revoke(self, request: ApiRequest) -> ApiResponse:
        """Take capabilities, in both body forms; `Member` ends the membership."""
        context_id, signer, pairs = self._capabilities(request, _REVOKE)
        ended = {member for member, name in pairs if name == shapes.MEMBERSHIP}
        bodies: list[Change] = [Remove(member=member, frontier=(), cascade=()) for member in sorted(ended)]
        for member, name in pairs:
            if member not in ended:
                named = shapes.capabilities_named(name)
                held = self._contexts.capabilities_of(request.principal, context_id, member)
                # a name for several takes those that are there; where there are none, the rules refuse one of them
                taken = [capability for capability in named if capability in held] or named[:1]
                bodies += [Revoke(member=member, capability=capability, frontier=()) for capability in taken]
        bodies.sort(key=lambda body: _lacks_later(body, signer))
        self._contexts.change(request.principal, context_id, signer, list(dict.fromkeys(bodies)), request.at)
        return ApiResponse.data(None)

    @speaks(asks="context:execute", refuses=f"nobody_answered sync_incomplete not_a_member membership_ended {READS}")
    def sync(self, request: ApiRequest) -> ApiResponse:
        """Ask the members of one context for what is missing."""
        return self._in_context(request, EXECUTE, self._synced)

    @speaks(refuses="nobody_answered sync_incomplete")
    def sync_all(self, request: ApiRequest) -> ApiResponse:
        """The same for every context in which the caller may execute, as many as there is time for.

        Contexts in which the caller isn't a member any more are left out: there is nothing to come.

        Raises:
            PermissionDeniedError: there are contexts, but it may execute in none of them.
            UnavailableError: one of them couldn't be synced, or not in time; the others were.
        """
        until = time.monotonic() + _SYNC_S
        refused: PermissionDeniedError | None = None
        permitted = []
        for view in self._contexts.list(request.principal):
            try:
                self._may(request.principal, EXECUTE, view.context_id)
            except PermissionDeniedError as refusal:
                refused = refusal
            else:
                permitted.append(view.context_id)
        if refused is not None and not permitted:
            raise refused
        failed: UnavailableError | None = None
        for context_id in permitted:
            try:
                if time.monotonic() >= until:
                    raise SyncIncompleteError(f"there was no time left for {context_id}")
                self._contexts.sync(request.principal, context_id)
            except NotAMemberError:
                continue
            except UnavailableError as problem:
                failed = failed or problem
        if failed is not None:
            raise failed
        return ApiResponse.data(None)

    @speaks(gives=gives.NewKey, refuses="pool_full")
    def generate_identity(self, request: ApiRequest) -> ApiResponse:
        """A new client key."""
        key = self._contexts.generate_identity(request.principal, request.at)
        return ApiResponse.data({"publicKey": str(key)})

    @speaks(takes=shapes.RotateBody, gives=gives.NewKey, asks="context:execute", refuses=WRITES)
    def rotate(self, request: ApiRequest) -> ApiResponse:
        """Replace a client key by its next one; beside the wire."""
        context_id = request.id_param("context_id", ContextId)
        body = request.json(shapes.RotateBody)
        self._may(request.principal, EXECUTE, context_id, body.identity)
        key = self._rotation.rotate(request.principal, context_id, body.identity, request.at)
        return ApiResponse.data({"publicKey": str(key)})

    @speaks(takes=shapes.InviteBody, gives=str, asks="context:invite", refuses=WRITES)
    def invite(self, request: ApiRequest) -> ApiResponse:
        """Invite a named key."""
        body = request.json(shapes.InviteBody)
        self._may(request.principal, _INVITE, body.context_id, body.inviter_id)
        ticket = self._joining.invite(request.principal, body.context_id, body.inviter_id, body.invitee_id, request.at)
        text = wire.InvitationText(
            context_id=body.context_id,
            invitee=body.invitee_id,
            protocol=wire.NETWORK,
            network=wire.NETWORK,
            contract=encode_ticket(ticket),
        )
        return ApiResponse.data(wire.encode_invitation(text))

    @speaks(takes=shapes.InviteOpenlyBody, gives=wire.SignedOpenInvitation, asks="context:invite", refuses=WRITES)
    def invite_openly(self, request: ApiRequest) -> ApiResponse:
        """Invite whoever holds the invitation."""
        body = request.json(shapes.InviteOpenlyBody)
        context_id, inviter = body.context_id, body.inviter_id
        self._may(request.principal, _INVITE, context_id, inviter)
        made = self._joining.invite_openly(request.principal, context_id, inviter, body.valid_for_blocks, request.at)
        data = wire.OpenInvitationData(
            inviter_identity=[*inviter],
            context_id=[*context_id],
            expiration_height=wire.expiration_height(body.valid_for_blocks),
            secret_salt=[*made.salt],
            protocol=wire.NETWORK,
            network=wire.NETWORK,
            contract_id=encode_ticket(made.ticket),
        )
        return ApiResponse.data(
            wire.SignedOpenInvitation(invitation=data, inviter_signature=made.ticket.signature.hex())
        )

    @speaks(
        takes=shapes.JoinBody,
        gives=gives.Membership,
        refuses=f"bad_invitation_text bad_invitation invitation_expired wrong_invitee {ENTERS}",
    )
    def join(self, request: ApiRequest) -> ApiResponse:
        """Join with an invitation for a key of the caller."""
        body = request.json(shapes.JoinBody)
        text = wire.decode_invitation(body.invitation_payload)
        wire.check_network(text.network)
        ticket = decode_ticket(text.context_id, text.contract)
        return self._joined(request, ticket, text.invitee, None)

    @speaks(
        takes=wire.JoinOpenlyBody,
        gives=gives.Membership,
        refuses=f"bad_invitation_text bad_invitation invitation_expired wrong_invitee {ENTERS}",
    )
    def join_openly(self, request: ApiRequest) -> ApiResponse:
        """Join with an open invitation."""
        body = request.json(wire.JoinOpenlyBody)
        inner = body.invitation.invitation
        wire.check_network(inner.network)
        ticket = decode_ticket(ContextId(bytes(inner.context_id)), inner.contract_id)
        return self._joined(request, ticket, body.new_member_public_key, bytes(inner.secret_salt))

    def _joined(self, request: ApiRequest, ticket: Ticket, joiner: PublicKey, salt: bytes | None) -> ApiResponse:
        if self._contexts.account_of(joiner) != request.principal.account_id:
            raise WrongInviteeError(f"{joiner} is not an identity of this account")
        context_id, member = self._joining.join(request.principal, ticket, joiner, salt=salt, at=request.at)
        return ApiResponse.data({"contextId": str(context_id), "memberPublicKey": str(member)})

    def _synced(self, who: Principal, which: ContextId) -> None:
        self._contexts.sync(who, which)

    def _capabilities(
        self, request: ApiRequest, needed: Permission
    ) -> tuple[ContextId, PublicKey, list[tuple[PublicKey, str]]]:
        """Both body forms; without a signer, an identity of the caller that manages members signs."""
        context_id = request.id_param("context_id", ContextId)
        self._may(request.principal, needed, context_id)
        given = request.json(msgspec.Raw)
        if bytes(given).lstrip().startswith(b"["):
            pairs = decode_json(bytes(given), shapes.CapabilityPairs)
            signer = request.principal.bound_executor or self._contexts.manager_of(request.principal, context_id)
        else:
            body = decode_json(bytes(given), shapes.CapabilitiesBody)
            pairs, signer = body.capabilities, body.signer_id
        for _, name in pairs:
            if name != shapes.MEMBERSHIP or needed is not _REVOKE:
                shapes.capabilities_named(name)
        self._may(request.principal, needed, context_id, signer)
        return context_id, signer, pairs

    def _in_context(
        self, request: ApiRequest, needed: Permission, work: Callable[[Principal, ContextId], Any]
    ) -> ApiResponse:
        context_id = request.id_param("context_id", ContextId)
        self._may(request.principal, needed, context_id)
        try:
            return ApiResponse.data(work(request.principal, context_id))
        except ContextNotFoundError as error:
            return ApiResponse.refusal(error, Envelope.NODE, text="Context not found")

    def _may(
        self, principal: Principal, needed: Permission, context_id: ContextId, executor: PublicKey | None = None
    ) -> None:
        resource = Resource(
            context=context_id,
            application=self._contexts.application_of(context_id),
            executor=executor,
            executor_account=None if executor is None else self._contexts.account_of(executor),
        )
        self._gate.authorise(principal, needed, resource)

    def _sees(self, principal: Principal, view: ContextView) -> bool:
        return self._gate.sees(principal, Resource(context=view.context_id, application=view.application_id))


def _lacks_later(body: Change, signer: PublicKey) -> tuple[bool, bool]:
    """Puts in order what a member changes: what it takes from itself comes last, and the right to take at the very end."""
    own = body.member == signer
    return own, own and not (isinstance(body, Revoke) and body.capability is not Capability.MANAGE_MEMBERS)


def _context(view: ContextView) -> shapes.ContextData:
    return shapes.ContextData(
        id=str(view.context_id),
        application_id=str(view.application_id),
        root_hash=base58.b58encode(view.root_hash).decode("ascii"),
        dag_heads=[[*head] for head in view.heads],
    )
