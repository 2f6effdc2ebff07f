"""Routes of accounts, beside the wire: one's own, its keys and proofs, and the owner's list (docs/http-api.md)."""

from typing import Final

from meroid.access.permissions import ADMIN, LIST_CONTEXTS, any_covers, parse_permission
from meroid.access.principal import Principal
from meroid.account.certificate import DelegationCertificate, certificate_text
from meroid.account.client_keys import ClientKeyPath
from meroid.account.proof import IdentityProof, proof_text
from meroid.errors import ForbiddenError
from meroid.http.contract import WRITES, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Requires, SignedIn, SocketEndpoint, in_context
from meroid.ids import AccountId, ContextId
from meroid.service.accounts import AccountService, AccountView, ClientKeyView
from meroid.service.gate import OutsideBindingError, PermissionDeniedError
from meroid.service.returning import Returned, ReturnService
from meroid.wire import account_api as shapes, node_answers as gives

_EXECUTE: Final = parse_permission("context:execute")
_ACCOUNT: Final = "/admin-api/account"


class LocalOnlyError(ForbiddenError):
    """Backup, restore and recovery work on the machine that has the key store, never over HTTP."""

    code = "local_only"
    next_step = "run it on the node's own machine: merod account backup, restore or recover"


class AccountsApi:
    """Handlers: decode, one service call, encode."""

    def __init__(self, *, accounts: AccountService, returning: ReturnService, rotate_after_days: int) -> None:
        """`rotate_after_days`: the age past which a client key is called old; 0 for never."""
        self._rotate_after_days = rotate_after_days
        self._accounts = accounts
        self._returning = returning

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; what changes an account needs `admin`, and a log-in of the last five minutes."""
        admin = Requires(ADMIN)
        resume = "/admin-api/contexts/{context_id}/identities/resume"
        return [
            Endpoint("GET", _ACCOUNT, self.show, SignedIn()),
            Endpoint("GET", f"{_ACCOUNT}/client-keys", self.client_keys, SignedIn()),
            Endpoint("GET", f"{_ACCOUNT}/key-log", self.key_log, SignedIn()),
            Endpoint("POST", f"{_ACCOUNT}/rotate", self.rotate, admin),
            Endpoint("POST", f"{_ACCOUNT}/prove", self.prove, admin),
            Endpoint("POST", f"{_ACCOUNT}/delegations", self.delegate, admin),
            Endpoint("POST", f"{_ACCOUNT}/delegations/end", self.end_delegation, admin),
            Endpoint("POST", f"{_ACCOUNT}/return", self.come_back, admin),
            Endpoint("POST", resume, self.resume, Requires(_EXECUTE, in_context())),
            *(Endpoint("POST", f"{_ACCOUNT}/{each}", self.local_only, SignedIn()) for each in _LOCAL),
            Endpoint("GET", "/admin-api/accounts", self.list_accounts, admin),
            Endpoint("POST", "/admin-api/accounts/{account_id}/disable", self.disable, admin),
            Endpoint("POST", "/admin-api/accounts/{account_id}/enable", self.enable, admin),
        ]

    @speaks(gives=shapes.AccountData, asks="context:list")
    def show(self, request: ApiRequest) -> ApiResponse:
        """One's own account."""
        _check_may_see(request.principal)
        return ApiResponse.data(_account(self._accounts.show(request.principal)))

    @speaks(gives=gives.ClientKeys, asks="context:list")
    def client_keys(self, request: ApiRequest) -> ApiResponse:
        """One's own client keys, oldest first."""
        _check_may_see(request.principal)
        listed = [_client_key(each) for each in self._accounts.client_keys(request.principal)]
        return ApiResponse.data({"clientKeys": listed, "rotateAfterDays": self._rotate_after_days})

    @speaks(gives=gives.KeyLogEntries, asks="context:list")
    def key_log(self, request: ApiRequest) -> ApiResponse:
        """The entries of one's own key log, base64url."""
        _check_may_see(request.principal)
        return ApiResponse.data({"entries": shapes.base64_texts(self._accounts.key_log(request.principal))})

    @speaks(gives=shapes.AccountData, refuses="login_not_fresh needs_cosigners key_log_unsettled")
    def rotate(self, request: ApiRequest) -> ApiResponse:
        """The next account key takes over."""
        return ApiResponse.data(_account(self._accounts.rotate(request.principal, request.at)))

    @speaks(
        takes=shapes.ProveBody,
        gives=gives.Proof,
        refuses="login_not_fresh needs_cosigners key_log_unsettled not_your_identity bad_proof bad_proof_lifetime delegation_not_live",
    )
    def prove(self, request: ApiRequest) -> ApiResponse:
        """A proof that a client key is one's own, for one audience."""
        body = request.json(shapes.ProveBody)
        proof = IdentityProof(
            account_id=request.principal.account_id,
            client_key=body.client_key,
            context_id=body.context_id,
            serial=body.serial,
            audience=body.audience,
            expires_at=body.expires_at,
        )
        return ApiResponse.data({"proof": proof_text(self._accounts.prove(request.principal, proof, request.at))})

    @speaks(
        takes=shapes.DelegateBody,
        gives=gives.Delegated,
        refuses="login_not_fresh needs_cosigners key_log_unsettled not_your_identity bad_permission",
    )
    def delegate(self, request: ApiRequest) -> ApiResponse:
        """A certificate for a client key, in force from now on."""
        body = request.json(shapes.DelegateBody)
        certificate = DelegationCertificate(
            account_id=request.principal.account_id,
            client_key=body.client_key.checked(),
            context_id=body.context_id,
            permissions=tuple(sorted({str(parse_permission(each)) for each in body.permissions})),
            serial=0,
            expires_at=body.expires_at,
        )
        made = self._accounts.delegate(request.principal, certificate, request.at)
        return ApiResponse.data({"serial": made.serial, "certificate": certificate_text(made.certificate)})

    @speaks(
        takes=shapes.EndDelegationBody, refuses="login_not_fresh needs_cosigners key_log_unsettled delegation_not_live"
    )
    def end_delegation(self, request: ApiRequest) -> ApiResponse:
        """Take a certificate out of force."""
        body = request.json(shapes.EndDelegationBody)
        self._accounts.end_delegation(request.principal, body.serial, request.at)
        return ApiResponse.data(None)

    @speaks(takes=shapes.ReturnBody, gives=gives.ReturnedContexts, refuses="bad_endpoint")
    def come_back(self, request: ApiRequest) -> ApiResponse:
        """Look for the contexts of restored keys."""
        found = self._returning.look(request.json(shapes.ReturnBody).addresses)
        return ApiResponse.data({"contexts": [_returned(each) for each in found]})

    @speaks(takes=shapes.ResumeBody, gives=gives.NewKey, refuses=f"nothing_to_resume {WRITES}")
    def resume(self, request: ApiRequest) -> ApiResponse:
        """Go on with a restored key in a context without having heard from a member."""
        context_id = request.id_param("context_id", ContextId)
        body = request.json(shapes.ResumeBody)
        key = self._returning.resume_alone(request.principal, context_id, force=body.force)
        return ApiResponse.data({"publicKey": str(key)})

    @speaks(refuses="local_only")
    def local_only(self, _: ApiRequest) -> ApiResponse:
        """Refuse what only the machine of the key store does."""
        raise LocalOnlyError("the words of an account never travel over HTTP")

    @speaks(gives=gives.Accounts)
    def list_accounts(self, request: ApiRequest) -> ApiResponse:
        """The accounts of the node, for its owner; for others their own."""
        return ApiResponse.data({"accounts": [_account(each) for each in self._accounts.list(request.principal)]})

    @speaks(refuses="login_not_fresh not_the_owner owner_account account_not_found")
    def disable(self, request: ApiRequest) -> ApiResponse:
        """Let an account open nothing here any more."""
        account_id = request.id_param("account_id", AccountId)
        self._accounts.disable(request.principal, account_id, request.at)
        return ApiResponse.data(None)

    @speaks(refuses="login_not_fresh not_the_owner account_not_found")
    def enable(self, request: ApiRequest) -> ApiResponse:
        """Let a disabled account log in again."""
        self._accounts.enable(request.principal, request.id_param("account_id", AccountId), request.at)
        return ApiResponse.data(None)


def _check_may_see(principal: Principal) -> None:
    """An account's keys tell of all its contexts, so only who may list them all sees them.

    Raises:
        OutsideBindingError, PermissionDeniedError: the token reaches less.
    """
    if principal.is_limited:
        raise OutsideBindingError("this token acts in one context, and an account is more")
    if not any_covers(principal.held, LIST_CONTEXTS):
        raise PermissionDeniedError(f"this token doesn't hold {LIST_CONTEXTS} for all contexts")


_LOCAL: Final = ("backup", "restore", "recover")


def _account(view: AccountView) -> shapes.AccountData:
    record = view.record
    return shapes.AccountData(
        account_id=str(record.account_id),
        owner=record.owner,
        device=record.device,
        created_at=record.created_at,
        backed_up_at=record.backed_up_at,
        disabled_at=record.disabled_at,
        log_unsettled_at=record.log_unsettled_at,
        root_keys=len(view.root_keys),
        key_log=shapes.key_log_data(view.log),
        label=record.label,
    )


def _client_key(view: ClientKeyView) -> shapes.ClientKeyData:
    record = view.record
    path = ClientKeyPath(device=record.device, slot=record.slot, generation=record.generation)
    return shapes.ClientKeyData(
        public_key=str(record.public_key),
        context_id=None if record.context_id is None else str(record.context_id),
        path=str(path),
        created_at=record.created_at,
        current=view.current,
        member=view.member,
        restored=record.restored_at is not None,
    )


def _returned(found: Returned) -> shapes.ReturnedData:
    problem = found.problem
    return shapes.ReturnedData(
        context_id=str(found.context_id),
        public_key=None if found.key is None else str(found.key),
        code=None if problem is None else problem.code,
        reason=None if problem is None else problem.reason,
    )
