"""The key log of an account: a hash chain of signed entries that anyone verifies from bytes alone.

An entry is an envelope (`keys.envelope`) whose payload is a canonical map:

| kind | fields beside `kind` |
|---|---|
| `inception` | `key`: the account key, generation 0; `next`: digest of generation 1 |
| `device` | `seq`, `prev`, `device`: the number that is claimed |

`seq` counts from 0, the inception; `prev` is the id of the entry before. An entry's id hashes the
payload without its signatures, and the id of the inception *is* the account's id. So the words
alone, from which both its fields follow, give the id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from meroid import limits
from meroid.account.seed import Seed
from meroid.errors import ConflictError, IntegrityError
from meroid.ids import ID_BYTES, AccountId
from meroid.keys.canonical import Encodable, Value, canonical_bytes, parse_canonical, tagged_hash
from meroid.keys.derivation import INDEX_END
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer

_TAG: Final = "meroid/key-log-entry/v1"
_NEXT_KEY_TAG: Final = "meroid/next-account-key/v1"
_INCEPTION, _DEVICE = "inception", "device"


class BadKeyLogEntryError(IntegrityError):
    """An entry doesn't have the fields of its kind, or stands where its kind can't."""

    code = "bad_key_log_entry"
    next_step = "get the key log again from another node of the account"


class UnknownKeyLogKindError(IntegrityError):
    """An entry is of a kind that this version doesn't know, so nothing after it can be judged."""

    code = "key_log_unknown_kind"
    next_step = "update meroid, then verify the key log again"


class KeyLogGapError(IntegrityError):
    """An entry is missing, or stands twice: the numbers don't count up by one from 0."""

    code = "key_log_gap"
    next_step = "get the whole key log, in order, from another node of the account"


class KeyLogReplacedError(IntegrityError):
    """An entry doesn't build on the one before it: one of the two is from another log or a fork."""

    code = "key_log_replaced"
    next_step = "compare the key log with that of another node of the account; somebody may have replaced entries"


class WrongKeyLogSignerError(IntegrityError):
    """An entry is signed by another key than the one in force."""

    code = "key_log_wrong_signer"
    next_step = "sign the entry with the account's current key"


class DeviceTakenError(ConflictError):
    """The device number is claimed already."""

    code = "device_taken"
    next_step = "claim the next free device number"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLogEntry:
    """One entry as it is stored and sent."""

    envelope: Envelope

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an entry; nothing is verified yet.

        Raises:
            BadKeyLogEntryError: too large.
            NotCanonicalError, BadEnvelopeError: not an envelope.
        """
        if len(data) > limits.KEY_LOG_ENTRY.value:
            raise BadKeyLogEntryError(f"an entry has at most {limits.KEY_LOG_ENTRY.value} bytes")
        return cls(envelope=Envelope.parse(data))

    @property
    def entry_id(self) -> bytes:
        """Hash of the payload, 32 bytes; for an inception, the account's id."""
        return tagged_hash(_TAG, self.envelope.payload)

    @property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return self.envelope.encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What the entries so far amount to."""

    account_id: AccountId
    current_key: PublicKey
    next_digest: bytes
    devices: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedKeyLog:
    """A key log that holds: its state, its length, and the id of its last entry."""

    state: AccountState
    length: int
    head: bytes

    @property
    def account_id(self) -> AccountId:
        """The account whose log it is."""
        return self.state.account_id

    def next_device(self) -> int:
        """The lowest device number above all that are claimed."""
        return max(self.state.devices, default=-1) + 1


def next_key_digest(key: PublicKey) -> bytes:
    """The digest by which an entry commits to the account key after the current one."""
    return tagged_hash(_NEXT_KEY_TAG, key)


def incept(seed: Seed) -> KeyLogEntry:
    """The first entry of an account's log; the same seed always gives the same one."""
    signer = seed.account_key(0)
    payload: dict[str, Encodable] = {
        "kind": _INCEPTION,
        "key": signer.public_key,
        "next": next_key_digest(seed.account_key(1).public_key),
    }
    return _signed(payload, signer)


def account_id_of(seed: Seed) -> AccountId:
    """The id of the account that a seed opens."""
    return AccountId(incept(seed).entry_id)


def claim_device(log: VerifiedKeyLog, device: int, signer: Signer) -> KeyLogEntry:
    """The next entry: it claims a device number, signed by the account's current key.

    Raises:
        DeviceTakenError: the number is claimed already.
        WrongKeyLogSignerError: the signer isn't the account's current key.
    """
    if device in log.state.devices:
        raise DeviceTakenError(f"device {device} is claimed already")
    if signer.public_key != log.state.current_key:
        raise WrongKeyLogSignerError("a device is claimed by the account's current key")
    return _signed({"kind": _DEVICE, "seq": log.length, "prev": log.head, "device": device}, signer)


def verify_key_log(entries: Sequence[bytes]) -> VerifiedKeyLog:
    """Verify a whole log, from its inception on.

    Raises:
        KeyLogGapError: empty, or an entry is missing or stands twice.
        KeyLogReplacedError: an entry doesn't build on the one before it.
        WrongKeyLogSignerError, BadSignatureError: signed by another key, or not at all.
        UnknownKeyLogKindError, BadKeyLogEntryError, BadEnvelopeError, NotCanonicalError: an
            entry can't be read.
        BadPublicKeyError: the account key is no usable key.
        DeviceTakenError: a device number is claimed twice.
    """
    if not entries:
        raise KeyLogGapError("a key log has at least its inception")
    fold = _Fold.begin(entries[0])
    for entry in entries[1:]:
        fold.add(entry)
    return fold.verified()


def extend_key_log(log: VerifiedKeyLog, entry: bytes) -> VerifiedKeyLog:
    """Verify one more entry of a log that was verified before.

    Raises:
        IntegrityError, ConflictError: as `verify_key_log`.
    """
    fold = _Fold(log)
    fold.add(entry)
    return fold.verified()


class _Fold:
    """The log so far; `devices` is a set that grows in place, so a long log costs linear time."""

    __slots__ = ("_devices", "_head", "_length", "_state")

    def __init__(self, log: VerifiedKeyLog) -> None:
        self._state = log.state
        self._devices = set(log.state.devices)
        self._length = log.length
        self._head = log.head

    @classmethod
    def begin(cls, data: bytes) -> Self:
        entry = KeyLogEntry.parse(data)
        match _fields(entry):
            case {"kind": str() as kind} if kind not in {_INCEPTION, _DEVICE}:
                raise UnknownKeyLogKindError("the first entry is of an unknown kind")
            case {"kind": "inception", "key": bytes() as raw, "next": bytes() as digest, **rest} if not rest:
                if len(raw) != ID_BYTES or len(digest) != 32:
                    raise BadKeyLogEntryError("a key and a digest have 32 bytes each")
            case {"seq": int()}:
                raise KeyLogGapError("the key log doesn't begin with its inception")
            case _:
                raise BadKeyLogEntryError("the first entry is not an inception")
        key = PublicKey(raw).checked()
        _check_signed(entry, key)
        head = entry.entry_id
        state = AccountState(account_id=AccountId(head), current_key=key, next_digest=digest, devices=frozenset())
        return cls(VerifiedKeyLog(state=state, length=1, head=head))

    def add(self, data: bytes) -> None:
        entry = KeyLogEntry.parse(data)
        fields = _fields(entry)
        match fields:
            case {"kind": "inception"}:
                raise BadKeyLogEntryError("an inception stands only at the beginning of a key log")
            case {"kind": str() as kind} if kind != _DEVICE:
                raise UnknownKeyLogKindError("an entry is of an unknown kind")
            case {"kind": "device", "seq": int() as seq, "prev": bytes() as prev, "device": int() as device, **rest}:
                if rest or isinstance(seq, bool) or isinstance(device, bool):
                    raise BadKeyLogEntryError("a device entry has kind, seq, prev and device")
            case _:
                raise BadKeyLogEntryError("an entry lacks a field of its kind")
        self._check_place(seq, prev)
        _check_signed(entry, self._state.current_key)
        self._claim(device)
        self._length += 1
        self._head = entry.entry_id

    def verified(self) -> VerifiedKeyLog:
        state = replace(self._state, devices=frozenset(self._devices))
        return VerifiedKeyLog(state=state, length=self._length, head=self._head)

    def _check_place(self, seq: int, prev: bytes) -> None:
        if seq != self._length:
            raise KeyLogGapError(f"entry {seq} stands where entry {self._length} belongs")
        if prev != self._head:
            raise KeyLogReplacedError(f"entry {seq} doesn't build on the entry before it")

    def _claim(self, device: int) -> None:
        if not 0 <= device < INDEX_END:
            raise BadKeyLogEntryError("the device number is outside of the derivation tree")
        if device in self._devices:
            raise DeviceTakenError(f"device {device} is claimed twice")
        self._devices.add(device)


def _signed(payload: Mapping[str, Encodable], signer: Signer) -> KeyLogEntry:
    return KeyLogEntry(envelope=Envelope.sign(_TAG, canonical_bytes(payload), signer))


def _fields(entry: KeyLogEntry) -> Mapping[int | str, Value]:
    fields = parse_canonical(entry.envelope.payload)
    if not isinstance(fields, dict):
        raise BadKeyLogEntryError("the payload of an entry is a map")
    return fields


def _check_signed(entry: KeyLogEntry, key: PublicKey) -> None:
    if entry.envelope.signers != (key,):
        raise WrongKeyLogSignerError("the entry is not signed by the account's current key, and by it alone")
    entry.envelope.verify(_TAG)
