"""Verifies a key log entry by entry; the rules are in `key_log`."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Self, assert_never

from meroid.account.account_state import AccountState, Standing, VerifiedKeyLog
from meroid.account.authority import AccountKeys, KeyChange, NextKeys, RecoverySet, next_key_digest
from meroid.account.changes import (
    Change,
    Delegation,
    DelegationRevocation,
    DeviceClaim,
    DeviceRevocation,
    Recovery,
    RootKeyBinding,
    RootKeyRemoval,
    Rotation,
)
from meroid.account.key_log_entry import ENTRY_TAG, KeyLogEntry, parse_change, parse_inception
from meroid.account.key_log_errors import (
    BadKeyLogEntryError,
    DelegationNotLiveError,
    DeviceNotClaimedError,
    DeviceTakenError,
    KeyLogForkError,
    KeyLogGapError,
    KeyLogReplacedError,
    KeyReusedError,
    NoRecoverySetError,
    RootKeyBoundError,
    RootKeyNotBoundError,
    TooFewSignaturesError,
    UncommittedKeyError,
    WrongGenerationError,
    WrongKeyLogSignerError,
)
from meroid.ids import AccountId
from meroid.keys.canonical import tagged_hash
from meroid.keys.public import PublicKey


class KeyLogVerifier:
    """Keeps what is in force and not the entries, so a log is read as a stream.

    Its memory grows with the devices, root keys and delegations in force, the numbers of revoked
    devices and the retired keys, and not with the length of the log.
    """

    __slots__ = (
        "_account_id", "_before_head", "_delegations", "_devices", "_generation", "_head", "_keys", "_length",
        "_next", "_recovery", "_retired", "_revoked", "_root_keys", "_serial", "_standing",
    )  # fmt: skip

    def __init__(self, log: VerifiedKeyLog) -> None:
        state = log.state
        self._account_id = state.account_id
        self._generation = state.generation
        self._keys: AccountKeys = state.keys
        self._next: NextKeys = state.next
        self._recovery: RecoverySet | None = state.recovery
        self._retired = set(state.retired_keys)
        self._devices = set(state.devices)
        self._revoked = set(state.revoked_devices)
        self._root_keys = dict(state.root_keys)
        self._delegations = dict(state.delegations)
        self._serial = state.next_serial
        self._standing = log.standing
        self._length = log.length
        self._head = log.head
        self._before_head = log.before_head

    @classmethod
    def begin(cls, inception: bytes) -> Self:
        """Verify the first entry.

        Raises:
            IntegrityError: as `key_log.verify_key_log`.
        """
        entry = KeyLogEntry.parse(inception)
        keys, committed = parse_inception(entry.envelope.payload)
        if entry.envelope.signers != keys.keys:
            raise WrongKeyLogSignerError("the inception is not signed by the key that it names, and by it alone")
        entry.envelope.verify(ENTRY_TAG)
        head = entry.entry_id
        state = AccountState(
            account_id=AccountId(head),
            generation=0,
            keys=keys,
            next=committed,
            recovery=None,
            retired_keys=frozenset(),
            devices=frozenset(),
            revoked_devices=frozenset(),
            root_keys=MappingProxyType({}),
            delegations=MappingProxyType({}),
            next_serial=0,
        )
        standing = Standing(keys=head, line=head, recovery=head)
        return cls(VerifiedKeyLog(state=state, standing=standing, length=1, head=head, before_head=b""))

    def add(self, data: bytes) -> None:
        """Verify the next entry; one that is refused changes nothing.

        Raises:
            IntegrityError, ConflictError, NotFoundError: as `key_log.verify_key_log`.
        """
        envelope = KeyLogEntry.parse(data).envelope
        seq, prev, change = parse_change(envelope.payload)
        entry_id = tagged_hash(ENTRY_TAG, envelope.payload)
        self.check_place(seq, prev, entry_id)
        self._check_signers(change, envelope.signers)
        envelope.verify(ENTRY_TAG)
        self._apply(change, entry_id)
        self._length += 1
        self._before_head, self._head = self._head, entry_id

    def check_place(self, seq: int, prev: bytes, entry_id: bytes) -> None:
        """Check that an entry belongs behind the last one.

        Raises:
            KeyLogForkError, KeyLogGapError, KeyLogReplacedError: it doesn't.
        """
        if seq == self._length - 1 and prev == self._before_head and entry_id != self._head:
            raise KeyLogForkError(f"two different entries with the number {seq} follow the same one")
        if seq != self._length:
            raise KeyLogGapError(f"entry {seq} stands where entry {self._length} belongs")
        if prev != self._head:
            raise KeyLogReplacedError(f"entry {seq} doesn't build on the entry before it")

    def entitled(self, change: Change) -> frozenset[PublicKey]:
        """The keys that may sign a change here, whether or not they have to."""
        match change:
            case Rotation(change=new):
                return frozenset((*new.keys.keys, *self._keys.keys, *self._members()))
            case Recovery(change=new):
                return frozenset((*new.keys.keys, *self._members()))
            case _:
                return frozenset(self._keys.keys)

    def outgoing_consent(self, signers: Iterable[PublicKey]) -> bool:
        """Whether enough of the keys that are in force so far are among the signers."""
        return len(frozenset(self._keys.keys).intersection(signers)) >= self._keys.threshold

    def recovery_consent(self, signers: Iterable[PublicKey]) -> int:
        """How many members of the recovery set are among the signers; 0 if they are too few."""
        count = len(self._members().intersection(signers))
        return count if self._recovery is not None and count >= self._recovery.threshold else 0

    @property
    def standing(self) -> Standing:
        """Which entries put the authorities in force."""
        return self._standing

    @property
    def head(self) -> bytes:
        """The id of the last entry."""
        return self._head

    def verified(self) -> VerifiedKeyLog:
        """The log as it is now; what is added later doesn't change it."""
        state = AccountState(
            account_id=self._account_id,
            generation=self._generation,
            keys=self._keys,
            next=self._next,
            recovery=self._recovery,
            retired_keys=frozenset(self._retired),
            devices=frozenset(self._devices),
            revoked_devices=frozenset(self._revoked),
            root_keys=MappingProxyType(dict(self._root_keys)),
            delegations=MappingProxyType(dict(self._delegations)),
            next_serial=self._serial,
        )
        return VerifiedKeyLog(
            state=state,
            standing=self._standing,
            length=self._length,
            head=self._head,
            before_head=self._before_head,
        )

    def _members(self) -> frozenset[PublicKey]:
        return frozenset(self._recovery.keys) if self._recovery is not None else frozenset()

    def _check_signers(self, change: Change, signers: tuple[PublicKey, ...]) -> None:
        if isinstance(change, Rotation):
            self._check_rotation(change, signers)
        elif isinstance(change, Recovery):
            self._check_recovery(change, signers)
        elif signers != self._keys.keys:  # not all of them
            self._check_entitled(change, signers)
            _check_enough("account keys", signers, self._keys.keys, self._keys.threshold)

    def _check_rotation(self, rotation: Rotation, signers: tuple[PublicKey, ...]) -> None:
        new = rotation.change
        committed = frozenset(self._next.digests)
        if any(next_key_digest(key) not in committed for key in new.keys.keys):
            raise UncommittedKeyError("a rotation names only keys that the change before it committed to")
        self._check_new(new)
        self._check_entitled(rotation, signers)
        _check_enough("next keys", signers, new.keys.keys, max(self._next.threshold, new.keys.threshold))

    def _check_recovery(self, recovery: Recovery, signers: tuple[PublicKey, ...]) -> None:
        new = recovery.change
        if self._recovery is None:
            raise NoRecoverySetError("there is no recovery set at this place of the log")
        self._check_new(new)
        self._check_entitled(recovery, signers)
        _check_enough("recovery members", signers, self._recovery.keys, self._recovery.threshold)
        _check_enough("new keys", signers, new.keys.keys, new.keys.threshold)

    def _check_new(self, new: KeyChange) -> None:
        """Each key is usable and new, and no key has two parts, so a signature counts in one alone."""
        coming = new.recovery.keys if new.recovery is not None else ()
        for key in (*new.keys.keys, *coming):
            key.checked()
            if key in self._retired or key in self._keys.keys:
                raise KeyReusedError("a key that is or was an account key comes neither again nor as a recovery member")
        if not self._members().union(coming).isdisjoint(new.keys.keys):
            raise KeyReusedError("a key is an account key and a recovery member at once")
        if any(next_key_digest(key) in new.next.digests for key in (*new.keys.keys, *self._keys.keys, *coming)):
            raise KeyReusedError("a key is committed to that has, or had, another part in the account")

    def _check_entitled(self, change: Change, signers: tuple[PublicKey, ...]) -> None:
        strangers = [key for key in signers if key not in self.entitled(change)]
        committed = frozenset(self._next.digests)
        for key in strangers:
            if key in self._retired or key in self._keys.keys or next_key_digest(key) in committed:
                raise WrongGenerationError(f"{key} is an account key of a generation that has no say in this entry")
        if strangers:
            raise WrongKeyLogSignerError(f"{strangers[0]} has no say in this entry")

    def _apply(self, change: Change, entry_id: bytes) -> None:
        match change:
            case DeviceClaim(device=device):
                self._claim(device)
            case DeviceRevocation(device=device):
                self._revoke(device)
            case Delegation(serial=serial, certificate=certificate):
                self._delegate(serial, certificate)
            case DelegationRevocation(serial=serial):
                self._end_delegation(serial)
            case RootKeyBinding():
                self._bind(change)
            case RootKeyRemoval(identifier=identifier):
                self._unbind(identifier)
            case Rotation(change=new) | Recovery(change=new):
                line = self._standing.line if isinstance(change, Rotation) else entry_id
                self._change_keys(new, entry_id, line)
            case _:
                assert_never(change)

    def _claim(self, device: int) -> None:
        if device in self._devices or device in self._revoked:
            raise DeviceTakenError(f"device {device} was claimed already")
        self._devices.add(device)

    def _revoke(self, device: int) -> None:
        if device not in self._devices:
            raise DeviceNotClaimedError(f"device {device} isn't one of the account's")
        self._devices.remove(device)
        self._revoked.add(device)

    def _delegate(self, serial: int, certificate: bytes) -> None:
        if serial != self._serial:
            raise BadKeyLogEntryError(f"serials count up by one, and the next is {self._serial}")
        self._delegations[serial] = certificate
        self._serial += 1

    def _end_delegation(self, serial: int) -> None:
        if self._delegations.pop(serial, None) is None:
            raise DelegationNotLiveError(f"no delegation with serial {serial} is in force")

    def _bind(self, binding: RootKeyBinding) -> None:
        if binding.identifier in self._root_keys:
            raise RootKeyBoundError("this root key is bound already")
        self._root_keys[binding.identifier] = binding

    def _unbind(self, identifier: bytes) -> None:
        if self._root_keys.pop(identifier, None) is None:
            raise RootKeyNotBoundError("this root key isn't bound")

    def _change_keys(self, new: KeyChange, entry_id: bytes, line: bytes) -> None:
        recovery = self._standing.recovery if new.recovery == self._recovery else entry_id
        self._standing = Standing(keys=entry_id, line=line, recovery=recovery)
        self._retired.update(self._keys.keys)
        self._keys, self._next, self._recovery = new.keys, new.next, new.recovery
        self._generation += 1


def _check_enough(what: str, signers: tuple[PublicKey, ...], entitled: tuple[PublicKey, ...], threshold: int) -> None:
    count = len(frozenset(entitled).intersection(signers))
    if count < threshold:
        raise TooFewSignaturesError(f"{threshold} of the {what} have to sign, and {count} did")
