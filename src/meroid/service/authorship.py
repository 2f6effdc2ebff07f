"""Writing operations as an identity of this node: compose, sign, take in, tell the others."""

from collections.abc import Sequence
from typing import Final

from meroid.account.client_keys import ClientKeys
from meroid.errors import ForbiddenError
from meroid.ids import EpochId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import NotAMemberError, author_next, next_seq
from meroid.ledger.capability import Capability
from meroid.ledger.epoch import compose_rekey, new_epoch_key
from meroid.ledger.operation import Body, Leave, Rekey, Remove, Revoke, Unlink, VerifiedOperation
from meroid.ledger.state import Member
from meroid.service.intake import Intake, Taken
from meroid.service.keyring import KeyRing
from meroid.service.refusals import refusal_of
from meroid.service.replica import Announce, Replica

WRAPS_MOST: Final = 4096
"""Recipients of one `rekey`, so that it fits an operation; others get the key when they ask."""


class MembershipEndedError(NotAMemberError):
    """The client key was a member, and its membership ended."""

    code = "membership_ended"
    next_step = "ask a member who may invite for a new invitation; what you wrote before stays"


class KeyRotatedError(NotAMemberError):
    """The client key was replaced by its next one."""

    code = "key_rotated"
    next_step = "act as the new key; aliases on the node that rotated it follow by themselves"


class KeyUnlinkedError(NotAMemberError):
    """The client key was a linked one, and its member took it away."""

    code = "key_unlinked"
    next_step = "act as the member's main key, or have another identity linked; what you wrote before stays"


class MembershipSuspendedError(ForbiddenError):
    """A manager asked for this member's removal, and it isn't decided yet."""

    code = "membership_suspended"
    next_step = "wait for the decision of the managers"


class LacksCapabilityError(ForbiddenError):
    """The member doesn't have the capability that this needs."""

    code = "lacks_capability"
    next_step = "ask a manager of the context to grant it"


def member_of(replica: Replica, key: PublicKey, *, needs: Capability | None = None) -> Member:
    """The membership of a key, if it has a capability now, where it needs one.

    Raises:
        NotAMemberError, MembershipEndedError, KeyRotatedError, KeyUnlinkedError: it is none, or none any more.
        LacksCapabilityError: it lacks the capability.
    """
    state = replica.ledger.state
    member = state.members.get(key)
    noticed = replica.noticed(key)
    if noticed is not None:
        raise MembershipEndedError(f"the membership of {key} ended with operation {noticed}")
    if member is None:
        ended = next((cut for cut in state.cuts_of(key) if cut.ends_membership), None)
        now = state.key_now(key)
        if now in state.members:
            raise KeyRotatedError(f"{key} was rotated to {now}")
        if ended is not None and ended.unlinks:
            raise KeyUnlinkedError(f"{key} was taken away by its member with operation {ended.by.operation_id}")
        if ended is not None:
            raise MembershipEndedError(f"the membership of {key} ended with operation {ended.by.operation_id}")
        raise NotAMemberError(f"{key} is not a member of {replica.context_id}")
    if needs is not None and not member.may(needs):
        raise LacksCapabilityError(f"{key} does not have the capability {needs}")
    return member


class Authorship:
    """Operations that identities of this node issue."""

    def __init__(self, intake: Intake, keys: KeyRing, announce: Announce) -> None:
        self._intake = intake
        self._keys = keys
        self._announce = announce

    def issue(self, replica: Replica, signer: ClientKeys, body: Body, at: int) -> VerifiedOperation:
        """Issue a membership operation; the caller holds the replica's lock.

        While no epoch is usable, somebody who was removed could still read what travels: then a new
        one begins first, unless the operation is one of those that follow on such an end.

        Raises:
            RestoredUnsyncedError: the key came from a backup and wasn't rotated yet.
            MeroidError: the rules don't allow it; nothing was stored or sent.
        """
        member_of(replica, signer.public_key)
        if not isinstance(body, _IN_ANY_EPOCH):
            self.secure(replica, signer, at)
        operation = self._compose(replica, signer, body)
        self.put(replica, [operation], at)
        return operation

    def check(self, replica: Replica, signer: ClientKeys, bodies: Sequence[Body]) -> None:
        """Refuse membership operations of which one isn't allowed as things are; the caller holds the replica's lock.

        Raises:
            MeroidError: the rules don't allow one of them.
        """
        member_of(replica, signer.public_key)
        for body in bodies:
            self._compose(replica, signer, body)

    def _compose(self, replica: Replica, signer: ClientKeys, body: Body) -> VerifiedOperation:
        self._keys.check_resumed(signer.public_key)
        operation = author_next(replica.ledger, signer, body, epoch=current_epoch(replica))
        verdict = replica.ledger.trial(operation)
        if not verdict.valid:
            raise refusal_of(verdict)
        return operation

    def put(self, replica: Replica, operations: Sequence[VerifiedOperation], at: int) -> Taken:
        """Take in what was issued here, or handed over at a door, and tell the others."""
        taken = self._intake.take(replica, operations, at, issued=True)
        self._announce(replica, tuple(operations))
        return taken

    def writing_epoch(self, replica: Replica, signer: ClientKeys, at: int) -> tuple[EpochId, bytes]:
        """An epoch under which this member may write now; makes one if none with a key here is usable (§3).

        It doesn't wait for the key of another member's epoch, which that member may keep to itself.

        Raises:
            MembershipSuspendedError: the member is suspended.
            RestoredUnsyncedError: the key came from a backup and wasn't rotated yet.
        """
        self._keys.check_resumed(signer.public_key)
        if signer.public_key in replica.ledger.state.suspensions:
            raise MembershipSuspendedError(f"{signer.public_key} is suspended in this context")
        return replica.usable_epoch() or self.rekey(replica, signer, at)

    def secure(self, replica: Replica, signer: ClientKeys, at: int) -> None:
        """Begin a new epoch if none is usable and this member can; the caller holds the replica's lock."""
        state = replica.ledger.state
        member = state.members.get(signer.public_key)
        able = member is not None and {Capability.READ, Capability.WRITE} <= member.capabilities
        able = able and signer.public_key not in self._keys.restored()
        if able and signer.public_key not in state.suspensions and replica.usable_epoch() is None:
            self.rekey(replica, signer, at)

    def rekey(self, replica: Replica, signer: ClientKeys, at: int) -> tuple[EpochId, bytes]:
        """Begin a new epoch, sealed for all current readers; the caller holds the replica's lock."""
        key = new_epoch_key()
        known = replica.known_epochs()
        readers = sorted(replica.ledger.state.readers(), key=lambda member: member.key != signer.public_key)
        body = compose_rekey(
            context=replica.context_id,
            key=key,
            author=signer.public_key,
            seq=next_seq(replica.ledger, signer.public_key),
            recipients=[(member.key, member.sealing) for member in readers[:WRAPS_MOST]],
            previous=known[0] if known else None,
        )
        self.issue(replica, signer, body, at)
        return body.epoch, key


_IN_ANY_EPOCH: Final = (Remove, Revoke, Leave, Unlink, Rekey)


def current_epoch(replica: Replica) -> EpochId | None:
    """The epoch under which a membership operation travels: the latest that this node can seal for."""
    usable = replica.usable_epoch()
    if usable is not None:
        return usable[0]
    known = replica.known_epochs()
    return known[0][0] if known else None
