"""Entries of a key log: their kinds, and their canonical bytes.

An entry is an envelope (`keys.envelope`) whose payload is a canonical map. All but the inception
have `kind`, `seq` (from 1 on) and `prev`, the id of the entry before; an entry's id hashes the
payload without its signatures.

| kind | further fields |
|---|---|
| `inception` | (only `kind` beside) `key`: the account key, generation 0; `next`: digest of generation 1 |
| `rotation`, `recovery` | `keys`, `threshold`, `next`, `next_threshold`, `recovery`: see `authority.KeyChange` |
| `device`, `device_revocation` | `device`: the number |
| `root_key` | `method`; `identifier`, `evidence`: see `RootKeyBinding` |
| `root_key_removal` | `identifier` |
| `delegation` | `serial`: counts from 0; `certificate`: digest of the signed certificate |
| `delegation_revocation` | `serial` |
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, assert_never

from meroid import limits
from meroid.account.authority import AccountKeys, KeyChange, NextKeys
from meroid.account.changes import (
    DIGEST_BYTES,
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
from meroid.account.entry_patterns import read_plain
from meroid.account.key_log_errors import BadKeyLogEntryError, KeyLogGapError, UnknownKeyLogKindError
from meroid.keys.canonical import Encodable, Value, canonical_bytes, parse_canonical, tagged_hash
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer

ENTRY_TAG: Final = "meroid/key-log-entry/v1"
_INCEPTION: Final = "inception"

Fields: TypeAlias = dict[int | str, Value]


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

    @classmethod
    def sign(cls, payload: bytes, signers: Iterable[Signer]) -> Self:
        """Sign a payload with each of the keys; nothing is checked."""
        return cls(envelope=Envelope.sign(ENTRY_TAG, payload, *signers))

    @property
    def entry_id(self) -> bytes:
        """Hash of the payload, 32 bytes; for an inception, the account's id."""
        return tagged_hash(ENTRY_TAG, self.envelope.payload)

    @property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return self.envelope.encoded


def inception_payload(key: PublicKey, next_digest: bytes) -> bytes:
    """The payload of the first entry; part of the account's id, so it never changes."""
    return canonical_bytes({"kind": _INCEPTION, "key": key, "next": next_digest})


def parse_inception(payload: bytes) -> tuple[AccountKeys, NextKeys]:
    """Read the payload of a log's first entry.

    Raises:
        KeyLogGapError: it is a later entry.
        UnknownKeyLogKindError, BadKeyLogEntryError, BadPublicKeyError, NotCanonicalError: no inception.
    """
    match _fields(payload):
        case {"kind": "inception", "key": bytes() as raw, "next": bytes() as digest, **rest} if not rest:
            if len(raw) != DIGEST_BYTES or len(digest) != DIGEST_BYTES:
                raise BadKeyLogEntryError("a key and a digest have 32 bytes each")
            return AccountKeys.of(PublicKey(raw).checked()), NextKeys.of_digests([digest])
        case {"kind": str() as kind} if kind in _READERS:
            raise KeyLogGapError("the key log doesn't begin with its inception")
        case {"kind": str() as kind} if kind != _INCEPTION:
            raise UnknownKeyLogKindError("the first entry is of an unknown kind")
        case _:
            raise BadKeyLogEntryError("the first entry is not an inception")


def is_inception(payload: bytes) -> bool:
    """Whether a payload says that it is a first entry.

    Raises:
        BadKeyLogEntryError, NotCanonicalError: the payload is no map.
    """
    return _fields(payload).get("kind") == _INCEPTION


def change_payload(seq: int, prev: bytes, change: Change) -> bytes:
    """The canonical bytes of an entry after the inception, which are signed."""
    kind, fields = _written(change)
    return canonical_bytes({"kind": kind, "seq": seq, "prev": prev, **fields})


def parse_change(payload: bytes) -> tuple[int, bytes, Change]:
    """Read the payload of an entry after the inception: its number, the id before it, what it does.

    Raises:
        UnknownKeyLogKindError: a kind of a later version.
        BadKeyLogEntryError, BadKeySetError, NotCanonicalError: not the fields of its kind.
    """
    plain = read_plain(payload)
    if plain is not None:
        return plain
    fields = _fields(payload)
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind == _INCEPTION:
        raise BadKeyLogEntryError("an entry has a kind, and an inception stands only at the beginning")
    reader = _READERS.get(kind)
    if reader is None:
        raise UnknownKeyLogKindError("an entry is of an unknown kind")
    names, read = reader
    if fields.keys() != names:
        raise BadKeyLogEntryError("an entry has exactly the fields of its kind")
    return _number(fields["seq"]), _digest(fields["prev"]), read(fields)


def _fields(payload: bytes) -> Fields:
    fields = parse_canonical(payload)
    if not isinstance(fields, dict):
        raise BadKeyLogEntryError("the payload of an entry is a map")
    return fields


def _number(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadKeyLogEntryError("a field that counts is a number")
    return value


def _digest(value: Value) -> bytes:
    if not isinstance(value, bytes) or len(value) != DIGEST_BYTES:
        raise BadKeyLogEntryError("ids and digests have 32 bytes")
    return value


def _read_root_key(fields: Fields) -> RootKeyBinding:
    method, evidence = fields["method"], fields["evidence"]
    if not isinstance(method, str):
        raise BadKeyLogEntryError("a method is a text")
    evidence = None if evidence is None else _digest(evidence)
    return RootKeyBinding(method=method, identifier=_digest(fields["identifier"]), evidence=evidence)


def _reader(names: str, read: Callable[[Fields], Change]) -> tuple[frozenset[str], Callable[[Fields], Change]]:
    return frozenset(("kind", "seq", "prev", *names.split())), read


_KEY_CHANGE: Final = "keys threshold next next_threshold recovery"
_READERS: Final = {
    "device": _reader("device", lambda fields: DeviceClaim(device=_number(fields["device"]))),
    "device_revocation": _reader("device", lambda fields: DeviceRevocation(device=_number(fields["device"]))),
    "rotation": _reader(_KEY_CHANGE, lambda fields: Rotation(change=KeyChange.parse(fields))),
    "recovery": _reader(_KEY_CHANGE, lambda fields: Recovery(change=KeyChange.parse(fields))),
    "root_key": _reader("method identifier evidence", _read_root_key),
    "root_key_removal": _reader("identifier", lambda fields: RootKeyRemoval(identifier=_digest(fields["identifier"]))),
    "delegation": _reader(
        "serial certificate",
        lambda fields: Delegation(serial=_number(fields["serial"]), certificate=_digest(fields["certificate"])),
    ),
    "delegation_revocation": _reader("serial", lambda fields: DelegationRevocation(serial=_number(fields["serial"]))),
}


def _written(change: Change) -> tuple[str, dict[str, Encodable]]:
    match change:
        case DeviceClaim(device=device):
            return "device", {"device": device}
        case DeviceRevocation(device=device):
            return "device_revocation", {"device": device}
        case Rotation(change=keys):
            return "rotation", keys.fields()
        case Recovery(change=keys):
            return "recovery", keys.fields()
        case RootKeyBinding(method=method, identifier=identifier, evidence=evidence):
            return "root_key", {"method": method, "identifier": identifier, "evidence": evidence}
        case RootKeyRemoval(identifier=identifier):
            return "root_key_removal", {"identifier": identifier}
        case Delegation(serial=serial, certificate=certificate):
            return "delegation", {"serial": serial, "certificate": certificate}
        case DelegationRevocation(serial=serial):
            return "delegation_revocation", {"serial": serial}
        case _:
            assert_never(change)
