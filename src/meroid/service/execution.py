"""Calling a method of a context's application: authorise, run, sign, encrypt, store, tell (`design.md` §6)."""

from dataclasses import dataclass
from typing import Final

import msgspec

from meroid import limits
from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.errors import InvalidInputError, UnavailableError
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next, next_seq
from meroid.ledger.capability import Capability
from meroid.ledger.epoch import seal_data
from meroid.ledger.operation import Delta, VerifiedOperation
from meroid.service.authorship import Authorship, member_of
from meroid.service.intake import Intake
from meroid.service.keyring import KeyRing
from meroid.service.payload import DeltaPayload
from meroid.service.ports.runtime import Invocation, Outcome, Runtime
from meroid.service.ports.store import Store
from meroid.service.projection import MERGE_METHOD, bytecode_loader
from meroid.service.replica import Announce, Replica, Replicas

_AROUND_PAYLOAD: Final = 8 * 1024  # bytes; the other fields of an operation with the most parents it may have
_FAILURE_SHOWN: Final = 300  # characters; applications may put up to 320 kB there


class GuestFailedError(InvalidInputError):
    """The application refused the call or failed; `failure` is the wire's text, whole."""

    code = "function_call_failed"
    next_step = "look at the application's error and correct the call"

    def __init__(self, failure: str) -> None:
        shown = failure if len(failure) <= _FAILURE_SHOWN else f"{failure[:_FAILURE_SHOWN]}…"
        super().__init__(f"the application's method failed: {shown}")
        self.failure = failure


class OutputNotJsonError(InvalidInputError):
    """What the method returned isn't JSON."""

    code = "output_not_json"
    next_step = "have the application return JSON"


class DeltaTooLargeError(InvalidInputError):
    """What the call changed doesn't fit one operation."""

    code = "delta_too_large"
    next_step = "write less in one call: split the value, or the call"


class ReservedMethodError(InvalidInputError):
    """The method is the runtime's own and isn't called from outside."""

    code = "reserved_method"
    next_step = "call a method of the application"


class UninitializedError(UnavailableError):
    """The context was joined, but its state hasn't arrived yet."""

    code = "uninitialized"
    next_step = "wait a moment, or sync the context while another member is reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: exported method, JSON arguments as UTF-8 bytes, and the client key that acts."""

    context_id: ContextId
    method: str
    arguments: bytes
    executor: PublicKey


class ExecutionService:
    """Executes calls, one after the other in a context, side by side in different ones."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        runtime: Runtime,
        intake: Intake,
        authorship: Authorship,
        announce: Announce,
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._runtime = runtime
        self._intake = intake
        self._authorship = authorship
        self._announce = announce

    def execute(self, principal: Principal, call: Call, at: int) -> bytes | None:
        """Run a method; what it changed is signed, stored and on its way when this returns.

        Returns:
            What the method returned (JSON), or nothing.

        Raises:
            ContextNotFoundError, NotYourIdentityError, NotAMemberError, MembershipEndedError,
            LacksCapabilityError: the caller may not.
            GuestFailedError, OutputNotJsonError, DeltaTooLargeError: the application refused or
                failed, or did what can't be told to others; nothing changed.
            UninitializedError, ApplicationMissingError: not ready yet.
        """
        replica = self._replicas.get(call.context_id)
        signer = self._keys.own(principal.account_id, call.executor)
        if call.method == MERGE_METHOD or call.method.startswith("__"):
            raise ReservedMethodError(f"{call.method!r} is not called from outside")
        with replica.lock:
            member_of(replica, call.executor, needs=Capability.READ)
            if not replica.applied:
                raise UninitializedError("the state of this context has not arrived yet")
            outcome = self._run(replica, call, at)
            if outcome.failure is not None:
                raise GuestFailedError(outcome.failure)
            _check_output(outcome.returned)
            if outcome.artifact is not None:
                member_of(replica, call.executor, needs=Capability.WRITE)
                operation = self.sign_delta(replica, signer, outcome, at)
                self._intake.take(replica, [operation], at, issued=True, outcome=outcome)
                self._announce(replica, (operation,))
        return outcome.returned

    def sign_delta(self, replica: Replica, signer: ClientKeys, outcome: Outcome, at: int) -> VerifiedOperation:
        """The delta of a run: encrypted for the current readers and signed; the caller holds the lock.

        Raises:
            DeltaTooLargeError: it doesn't fit an operation; nothing changed.
            MembershipSuspendedError: as `Authorship.writing_epoch`.
        """
        payload = encode_payload(outcome, outcome.root_hash or replica.root_hash)
        epoch, key = self._authorship.writing_epoch(replica, signer, at)
        author = signer.public_key
        seq = next_seq(replica.ledger, author)
        nonce, ciphertext = seal_data(replica.context_id, key, author, seq, payload)
        return author_next(replica.ledger, signer, Delta(nonce=nonce, ciphertext=ciphertext), epoch=epoch)

    def _run(self, replica: Replica, call: Call, at: int) -> Outcome:
        binding = replica.ledger.state.application
        invocation = Invocation(
            method=call.method,
            input=call.arguments,
            context_id=call.context_id,
            executor=call.executor,
            at=at,
            members=replica.members(),
        )
        return self._store.read(
            lambda tx: self._runtime.run(
                binding.blob_id,
                bytecode_loader(tx, binding.blob_id),
                invocation,
                lambda key: tx.state.read(call.context_id, key),
            )
        )


def encode_payload(outcome: Outcome, root_hash: bytes) -> bytes:
    """What a delta carries of a run.

    Raises:
        DeltaTooLargeError: the operation around it would be larger than one may be.
    """
    payload = DeltaPayload(artifact=outcome.artifact or b"", events=outcome.events, root_hash=root_hash).encoded()
    most = limits.OPERATION_BYTES.value - _AROUND_PAYLOAD
    if len(payload) > most:
        raise DeltaTooLargeError(f"the call's change and events have {len(payload)} bytes of at most {most}")
    return payload


def _check_output(output: bytes | None) -> None:
    """The wire carries what a method returns as JSON (`wire/node.md` §2.1)."""
    if output is None:
        return
    try:
        msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise OutputNotJsonError(f"what the method returned is not JSON: {problem}") from None
