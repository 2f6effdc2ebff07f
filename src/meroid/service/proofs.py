"""Reading a proof: which method it is of, whom it claims to be, and which challenge it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from meroid import limits
from meroid.account.audit import AuditEvent
from meroid.auth.first_owner import Peer
from meroid.auth.methods import LoginAttempt, LoginMethod
from meroid.auth.throttle import (
    KEEP_ADDRESSES_MS,
    LOGIN_WINDOW_MS,
    Failures,
    LoginThrottledError,
    address_group,
    address_level,
    check_throttle,
    login_digest,
    wait_ms,
)
from meroid.errors import UnauthenticatedError
from meroid.service.challenges import ChallengeService
from meroid.service.ports.auth import AddressCount
from meroid.service.ports.store import Store, Transaction


class UnsupportedMethodError(UnauthenticatedError):
    """This node has no such way to log in."""

    code = "unsupported_method"
    next_step = "take a method from /auth/providers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whom an attempt claims to be, before anything is proven, and where its failures are counted."""

    method: LoginMethod
    identifier: str
    attempt: LoginAttempt
    digest: bytes
    address: str

    @property
    def subject(self) -> str:
        """For whom failures are bounded in the audit trail."""
        return f"login:{self.digest.hex()}:{self.address}"


class Proofs:
    """All log-in methods, their challenges, and the counting of failures."""

    def __init__(self, store: Store, methods: Sequence[LoginMethod], challenges: ChallengeService) -> None:
        self.methods = tuple(methods)
        self.challenges = challenges
        self._store = store

    def method(self, name: str) -> LoginMethod:
        """The method of that name.

        Raises:
            UnsupportedMethodError: there is none.
        """
        for method in self.methods:
            if method.name == name:
                return method
        raise UnsupportedMethodError("this node has no such way to log in")

    def identify(self, attempt: LoginAttempt) -> tuple[LoginMethod, str]:
        """The method of an attempt, and the identifier that it claims.

        Raises:
            UnsupportedMethodError: no method has it.
            BadProviderDataError: the method's fields are malformed.
        """
        for method in self.methods:
            identifier = method.identify(attempt)
            if identifier is not None:
                return method, identifier
        raise UnsupportedMethodError("this node has no such way to log in")

    def read(self, attempt: LoginAttempt, peer: Peer, at: int) -> Claim:
        """What an attempt claims, with its challenge checked; raises as `identify`, and more.

        Raises:
            BadChallengeError, ChallengeExpiredError, ChallengeUsedError: its challenge is no good.
        """
        address = address_group(peer.address)
        method, identifier = self.identify(attempt)
        attempt = replace(attempt, address=address)
        text = method.challenge_in(attempt)
        if text is not None:
            challenge = self.challenges.check(text, method, peer.host, at)
            attempt = replace(attempt, challenge=challenge)
        return Claim(
            method=method,
            identifier=identifier,
            attempt=attempt,
            digest=login_digest(method.name, identifier),
            address=address,
        )

    def fail(self, claim: Claim, tried: AuditEvent, at: int) -> None:
        """Count a failure, and record `tried`; what failed together with too many others doesn't learn that it was wrong.

        Raises:
            LoginThrottledError: too many.
        """

        def count(tx: Transaction) -> Failures:
            before = failures_of(tx, claim, at)
            count_failure(tx, claim.digest, claim.address, at)
            tx.auth.record_failing_address(claim.address, AddressCount(level=before.address + 1, last_failed_at=at))
            tx.auth.forget_failing_addresses(before=at - KEEP_ADDRESSES_MS, keep=limits.LOGIN_FAILURES.value)
            known = tx.auth.find_root_key(claim.method.name, claim.identifier)
            event = replace(
                tried,
                method=claim.method.name,
                target=f"login:{claim.digest.hex()}" if known is None else known.key_id,
                outcome=tried.outcome if wait_ms(before, at) <= 0 else LoginThrottledError.code,
            )
            tx.audit.append_bounded(claim.subject, event)
            return before

        check_throttle(self._store.write(count), at)


def count_failure(tx: Transaction, digest: bytes, address: str, at: int) -> None:
    """Count one more failure; where too many are kept the oldest goes."""
    tx.auth.record_failure(digest, address, at=at)
    tx.auth.evict_attempts(keep=limits.LOGIN_FAILURES.value)


def failures_of(tx: Transaction, claim: Claim, at: int) -> Failures:
    """Failed log-ins so far: of this login from this address and from anywhere, and of this address."""
    here = tx.auth.attempts(claim.digest, claim.address)
    anywhere = tx.auth.login_attempts(claim.digest, since=at - LOGIN_WINDOW_MS)
    address = tx.auth.failing_address(claim.address)
    return Failures(
        here=here.failures if here is not None else 0,
        last_here=here.last_failed_at if here is not None else None,
        succeeded_here=here.last_succeeded_at if here is not None else None,
        anywhere=anywhere.failures,
        last_anywhere=anywhere.last_failed_at,
        address=address_level(address.level, address.last_failed_at, at) if address is not None else 0,
        last_address=address.last_failed_at if address is not None else None,
    )
