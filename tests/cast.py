"""A cast for ledger tests: people with keys, each with a replica of one context."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from meroid.ids import ApplicationId, BlobId, EpochId, OperationId
from meroid.keys.commitment import commit_to_all
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealingKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.ledger import epoch
from meroid.ledger.authoring import NotAMemberError, author_next, compose_genesis, next_seq
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.graph import MissingAncestorsError
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import (
    Admit,
    Binding,
    Body,
    Delta,
    Genesis,
    Grant,
    Invite,
    Join,
    Leave,
    Link,
    MemberKeys,
    Policy,
    Remove,
    Revoke,
    Rotate,
    Unlink,
    VerifiedOperation,
)
from meroid.ledger.verdict import Verdict
from meroid.ledger.verify import invitation_proof_message, link_proof_message, sign_operation

GENERATIONS_PLAYED = 4
APPLICATION = Binding(
    application_id=ApplicationId(b"a" * 32), blob_id=BlobId(b"b" * 32), size=3, source="test", metadata=b""
)


class Person:
    """A client key with its sealing key and a replica; hears of what others did by `hear`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0
        self.replica: Ledger | None = None
        self.epoch_key = b""

    @property
    def signer(self) -> SoftwareSigner:
        return self.keys_of(self.generation)[0]

    @property
    def sealing(self) -> SealingKey:
        return self.keys_of(self.generation)[1]

    def keys_of(self, generation: int) -> tuple[SoftwareSigner, SealingKey]:
        seed = f"{self.name} {generation}" if generation else self.name
        signer = SoftwareSigner(Secret(hashlib.sha256(seed.encode()).digest()))
        return signer, SealingKey(Secret(hashlib.sha256(b"sealing " + seed.encode()).digest()))

    def published(self, generation: int) -> MemberKeys:
        later = (self.keys_of(each) for each in reversed(range(generation + 1, GENERATIONS_PLAYED)))
        committed = commit_to_all((signer.public_key, sealing.public) for signer, sealing in later)
        return MemberKeys(sealing=self.keys_of(generation)[1].public, next_keys=committed)

    @property
    def key(self) -> PublicKey:
        return self.signer.public_key

    @property
    def ledger(self) -> Ledger:
        assert self.replica is not None
        return self.replica

    @property
    def keys(self) -> MemberKeys:
        return self.published(self.generation)

    def found(self) -> VerifiedOperation:
        body = Genesis(keys=self.keys, nonce=bytes(32), policy=Policy(), application=APPLICATION)
        genesis = sign_operation(compose_genesis(self.key, body), self.signer)
        self.replica = Ledger(genesis)
        return genesis

    def say(self, body: Body, epoch_id: EpochId | None = None) -> VerifiedOperation:
        operation = author_next(self.ledger, self.signer, body, epoch=epoch_id)
        self.ledger.add(operation)
        return operation

    def invite(self, other: Person, capabilities: Iterable[Capability] = ON_JOINING) -> VerifiedOperation:
        return self.say(Invite(invitee=other.key, secret_key=None, capabilities=frozenset(capabilities), uses=1))

    def invite_openly(self, secret: SoftwareSigner, uses: int | None = None) -> VerifiedOperation:
        return self.say(
            Invite(invitee=None, secret_key=secret.public_key, capabilities=frozenset(ON_JOINING), uses=uses)
        )

    def join(self, invitation: VerifiedOperation, secret: SoftwareSigner | None = None) -> VerifiedOperation:
        proof = None
        if secret is not None:
            message = invitation_proof_message(self.ledger.context_id, invitation.operation_id, self.key)
            proof = secret.sign(message)
        return self.say(Join(invitation=invitation.operation_id, keys=self.keys, proof=proof))

    def admit(self, join: VerifiedOperation) -> VerifiedOperation:
        return self.say(Admit(join=join.operation_id))

    def grant(self, other: Person, capability: Capability) -> VerifiedOperation:
        return self.say(Grant(member=other.key, capability=capability))

    def revoke(self, other: Person, capability: Capability) -> VerifiedOperation:
        return self.say(Revoke(member=other.key, capability=capability, frontier=()))

    def remove(
        self, other: Person, frontier: tuple[OperationId, ...] = (), cascade: tuple[PublicKey, ...] = ()
    ) -> VerifiedOperation:
        return self.say(Remove(member=other.key, frontier=frontier, cascade=cascade))

    def leave(self) -> VerifiedOperation:
        return self.say(Leave())

    def rotate(self, frontier: tuple[OperationId, ...] = ()) -> VerifiedOperation:
        previous = self.key
        self.generation += 1
        try:
            return self.say(Rotate(previous=previous, keys=self.keys, frontier=frontier))
        except NotAMemberError:
            self.generation -= 1
            raise

    def agree(self, main: Person) -> bytes:
        """What a device signs to be linked to the membership of a main key."""
        return self.signer.sign(link_proof_message(main.ledger.context_id, main.key, self.key, self.keys))

    def link(self, device: Person, capabilities: Iterable[Capability] = ON_JOINING) -> VerifiedOperation:
        """Link a device that agrees."""
        return self.say(
            Link(key=device.key, keys=device.keys, capabilities=frozenset(capabilities), proof=device.agree(self))
        )

    def unlink(self, device: Person, frontier: tuple[OperationId, ...] = ()) -> VerifiedOperation:
        return self.say(Unlink(key=device.key, frontier=frontier))

    def rekey(self) -> VerifiedOperation:
        key = epoch.new_epoch_key()
        body = epoch.compose_rekey(
            context=self.ledger.context_id,
            key=key,
            author=self.key,
            seq=next_seq(self.ledger, self.key),
            recipients=[(member.key, member.sealing) for member in self.ledger.state.readers()],
            previous=None,
        )
        return self.say(body)

    def write(self, text: str = "data", epoch_id: EpochId | None = None) -> VerifiedOperation:
        usable = self.ledger.state.usable_epochs()
        chosen = epoch_id or (usable[0].epoch_id if usable else None)
        return self.say(Delta(nonce=bytes(12), ciphertext=text.encode()), chosen)

    def hear(self, operations: Iterable[VerifiedOperation]) -> None:
        self.replica = deliver(self.replica, operations)

    def verdict(self, operation: VerifiedOperation) -> Verdict:
        return self.ledger.verdict(operation.operation_id)


def deliver(replica: Ledger | None, operations: Iterable[VerifiedOperation]) -> Ledger:
    """Add operations in the order in which they come; what can't be judged yet waits."""
    waiting = [operation for operation in operations if replica is None or operation.operation_id not in replica]
    if replica is None:
        genesis = next(operation for operation in waiting if operation.operation.context is None)
        waiting.remove(genesis)
        replica = Ledger(genesis)
    while waiting:
        later = []
        for operation in waiting:
            if operation.operation.context is None:
                continue
            try:
                replica.add(operation)
            except MissingAncestorsError:
                later.append(operation)
        if len(later) == len(waiting):
            break
        waiting = later
    return replica


class Story:
    """A context with a founder and people who joined it, and everything that was said."""

    def __init__(self, *names: str) -> None:
        self.founder = Person("founder")
        self.said: list[VerifiedOperation] = [self.founder.found()]
        self.people = {name: Person(name) for name in names}
        self.said.append(self.founder.rekey())
        for person in self.people.values():
            self.bring_in(self.founder, person)
        self.sync()

    def bring_in(self, inviter: Person, person: Person) -> VerifiedOperation:
        invitation = inviter.invite(person)
        self.said.append(invitation)
        person.hear(self.said)
        join = person.join(invitation)
        self.said.append(join)
        inviter.hear([join])
        return join

    def tell(self, *operations: VerifiedOperation) -> None:
        """Everybody hears these."""
        self.said.extend(operations)
        self.sync()

    def sync(self) -> None:
        for person in (self.founder, *self.people.values()):
            person.hear(self.said)

    def __getitem__(self, name: str) -> Person:
        return self.people[name]
