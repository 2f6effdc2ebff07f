"""Proofs of keys, used once on every worker: what was shown stands in the store until its time alone refuses it."""

from meroid.auth.dpop import WINDOW_MS, BadProofError, Proof, Shown, check_key, verify_proof
from meroid.errors import ConflictError
from meroid.ids import ContextId
from meroid.service.ports.store import Store, Transaction


class ProofKeySharedError(ConflictError):
    """The key holds tokens of something else: tokens of two contexts would be known by it to be one person's."""

    code = "proof_key_shared"
    next_step = "make a key of its own for each context"


class Possession:
    """Judges whether who asks holds the key that a token is bound to."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, key: str, shown: Shown, token: str, at: int) -> None:
        """Refuse a request whose token is bound to a key (its thumbprint), unless it shows a new proof of it.

        Writes to the store, for a proof that holds.

        Raises:
            ProofRequiredError, ProofUnjudgedError, BadProofError: as `verify_proof`, or it was used before.
        """
        proof = verify_proof(shown, at, token=token)
        check_key(proof, key)
        self._store.write(lambda tx: spend(tx, proof, at))


def spend(tx: Transaction, proof: Proof, at: int) -> None:
    """Use a proof up, and forget those whose time is over.

    Raises:
        BadProofError: it was used before.
    """
    tx.auth.forget_proofs(expired_before=at - WINDOW_MS)  # clocks of two machines may differ
    if not tx.auth.use_proof(proof.digest, expires_at=proof.forgotten_at):
        raise BadProofError("this proof was used before (jti)")


def bind(tx: Transaction, proof: Proof | None, context: ContextId | None, at: int) -> str | None:
    """Take the key of a proof for tokens of a context, or for unbound ones; its thumbprint.

    Raises:
        ProofKeySharedError: the key holds tokens of another context, or unbound ones beside those of one.
        BadProofError: the proof was used before.
    """
    if proof is None:
        return None
    if any(each != context for each in tx.auth.contexts_of_proof_key(proof.key)):
        raise ProofKeySharedError("this key holds tokens of something else")
    spend(tx, proof, at)
    return proof.key
