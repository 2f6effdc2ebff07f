"""Contexts, identities, invitations, calls, capabilities and proposals."""

from calimero_client_py import shapes
from calimero_client_py.arguments import (
    base58_argument,
    id_argument,
    json_argument,
    text_argument,
    u64_argument,
)
from calimero_client_py.requests import RequestMethods
from calimero_client_py.results import DictResult


def _context(value: object) -> str:
    return id_argument("context ID", "context_id", value)


class ContextMethods(RequestMethods):
    """Methods on contexts and what belongs to them."""

    # --- contexts and identities

    def generate_context_identity(self) -> DictResult:
        """A new identity, to be invited with."""
        return self._ask(shapes.PUBLIC_KEY, self._routes.generate_identity)

    def create_context(self, application_id: str, protocol: str, params: str | None = None) -> DictResult:
        """A new context; `params` is the text that the application's `init` gets."""
        body = {
            "protocol": text_argument("protocol", protocol),
            "applicationId": id_argument("application ID", "application_id", application_id),
            "contextSeed": None,
            "initializationParams": [] if params is None else list(text_argument("params", params).encode()),
        }
        return self._ask(shapes.CREATED, lambda: self._routes.create_context(body))

    def list_contexts(self) -> DictResult:
        """All contexts of the node."""
        return self._ask(shapes.CONTEXTS, self._routes.contexts)

    def get_context(self, context_id: str) -> DictResult:
        """One context."""
        context = _context(context_id)
        return self._ask(shapes.ONE_CONTEXT, lambda: self._routes.context(context))

    def delete_context(self, context_id: str) -> DictResult:
        """Take a context off the node."""
        context = _context(context_id)
        return self._ask(shapes.IS_DELETED, lambda: self._routes.delete_context(context))

    def get_context_storage(self, context_id: str) -> DictResult:
        """How many bytes its state takes."""
        context = _context(context_id)
        return self._ask(shapes.STORAGE, lambda: self._routes.context_storage(context))

    def get_context_identities(self, context_id: str) -> DictResult:
        """The keys of all members."""
        context = _context(context_id)
        return self._ask(shapes.IDENTITIES, lambda: self._routes.context_identities(context))

    def get_context_client_keys(self, context_id: str) -> DictResult:
        """Who signs in for the context."""
        context = _context(context_id)
        return self._ask(shapes.CLIENT_KEYS, lambda: self._routes.context_client_keys(context))

    def sync_context(self, context_id: str) -> DictResult:
        """Ask for synchronisation of one context."""
        context = _context(context_id)
        return self._ask(shapes.EMPTY, lambda: self._routes.sync_context(context))

    def sync_all_contexts(self) -> DictResult:
        """Ask for synchronisation of all contexts."""
        return self._ask(shapes.EMPTY, lambda: self._routes.sync_context(None))

    def update_context_application(self, context_id: str, application_id: str, executor_public_key: str) -> DictResult:
        """Run the context with another application."""
        context = _context(context_id)
        body = {
            "applicationId": id_argument("application ID", "application_id", application_id),
            "executorPublicKey": id_argument("executor public key", "executor_public_key", executor_public_key),
        }
        return self._ask(shapes.EMPTY, lambda: self._routes.update_context_application(context, body))

    # --- inviting and joining

    def invite_to_context(self, context_id: str, inviter_id: str, invitee_id: str) -> DictResult:
        """Invite a key; the invitation is the text under `data`."""
        body = {
            "contextId": _context(context_id),
            "inviterId": id_argument("inviter ID", "inviter_id", inviter_id),
            "inviteeId": id_argument("invitee ID", "invitee_id", invitee_id),
        }
        return self._ask(shapes.INVITATION, lambda: self._routes.invite(body))

    def join_context(self, context_id: str, invitee_id: str, invitation_payload: str) -> DictResult:
        """Join by an invitation; the first two arguments are only checked, the invitation names both."""
        _context(context_id)
        id_argument("invitee ID", "invitee_id", invitee_id)
        payload = base58_argument("invitation_payload", invitation_payload, "Failed to parse invitation payload")
        return self._ask(shapes.JOINED, lambda: self._routes.join({"invitationPayload": payload}))

    def invite_to_context_by_open_invitation(
        self, context_id: str, inviter_id: str, valid_for_blocks: int
    ) -> DictResult:
        """Make an invitation for whoever holds it."""
        body = {
            "contextId": _context(context_id),
            "inviterId": id_argument("inviter ID", "inviter_id", inviter_id),
            "validForBlocks": u64_argument("valid_for_blocks", valid_for_blocks),
        }
        return self._ask(shapes.OPEN_INVITATION, lambda: self._routes.invite_open(body))

    def join_context_by_open_invitation(self, invitation_json: str, new_member_public_key: str) -> DictResult:
        """Join by an open invitation, JSON text with or without its outer `data`."""
        value = json_argument("invitation_json", invitation_json, "Invalid invitation JSON")
        invitation = value["data"] if isinstance(value, dict) and "data" in value else value
        member = id_argument("new member public key", "new_member_public_key", new_member_public_key)
        shapes.check_open_invitation(invitation)
        body = {"invitation": invitation, "newMemberPublicKey": member}
        return self._ask(shapes.JOINED, lambda: self._routes.join_open(body))

    # --- calling

    def execute_function(self, context_id: str, method: str, args: str, executor_public_key: str) -> DictResult:
        """Call a method; `args` is JSON text. A failed call comes back with `error`, without `result`."""
        body = {
            "jsonrpc": "2.0",
            "id": "1",
            "method": "execute",
            "params": {
                "contextId": _context(context_id),
                "method": text_argument("method", method),
                "argsJson": json_argument("args", args, "Invalid JSON args"),
                "executorPublicKey": id_argument("executor public key", "executor_public_key", executor_public_key),
                "substitute": [],
            },
        }
        return self._ask(shapes.RPC, lambda: self._routes.execute(body))

    # --- capabilities

    def grant_permissions(self, context_id: str, permissions: str) -> DictResult:
        """Give capabilities; JSON text of a list of pairs of key and capability."""
        context = _context(context_id)
        pairs = _pairs(permissions)
        return self._ask(shapes.EMPTY, lambda: _empty(self._routes.grant(context, pairs)))

    def revoke_permissions(self, context_id: str, permissions: str) -> DictResult:
        """Take capabilities; JSON text of a list of pairs of key and capability."""
        context = _context(context_id)
        pairs = _pairs(permissions)
        return self._ask(shapes.EMPTY, lambda: _empty(self._routes.revoke(context, pairs)))

    # --- proposals

    def list_proposals(self, context_id: str, args: str | None = None) -> DictResult:
        """Proposals; `args` is JSON text with `offset` and `limit`."""
        context = _context(context_id)
        page = None if args is None else json_argument("args", args, "Invalid JSON args")
        return self._ask(shapes.PROPOSALS, lambda: self._routes.proposals(context, page))

    def get_proposal(self, context_id: str, proposal_id: str) -> DictResult:
        """One proposal."""
        context, proposal = _context(context_id), id_argument("proposal ID", "proposal_id", proposal_id)
        return self._ask(shapes.PROPOSAL, lambda: self._routes.proposal(context, proposal))

    def get_proposal_approvers(self, context_id: str, proposal_id: str) -> DictResult:
        """Who approved a proposal."""
        context, proposal = _context(context_id), id_argument("proposal ID", "proposal_id", proposal_id)
        return self._ask(shapes.APPROVERS, lambda: self._routes.proposal_approvers(context, proposal))

    def create_and_approve_proposal(self, context_id: str, request_json: str) -> DictResult:
        """Propose and approve; JSON text with `signerId` and `proposal`."""
        context = _context(context_id)
        body = json_argument("request_json", request_json, "Invalid JSON request")
        return self._ask(shapes.APPROVALS, lambda: self._routes.create_proposal(context, body))

    def approve_proposal(self, context_id: str, request_json: str) -> DictResult:
        """Approve; JSON text with `signerId` and `proposalId`."""
        context = _context(context_id)
        body = json_argument("request_json", request_json, "Invalid JSON request")
        return self._ask(shapes.APPROVALS, lambda: self._routes.approve_proposal(context, body))


def _pairs(permissions: object) -> object:
    return json_argument("permissions", permissions, "Invalid JSON permissions")


def _empty(answer: object) -> object:
    # The original node answers a bare null here, where every other route wraps it.
    return {"data": None} if answer is None else answer
