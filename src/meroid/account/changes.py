"""What the entries of a key log do: one value for each kind."""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from meroid.account.authority import KeyChange
from meroid.account.key_log_errors import BadKeyLogEntryError
from meroid.keys.derivation import INDEX_END

DIGEST_BYTES: Final = 32
_METHOD: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SERIAL_END: Final = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The keys that were committed to take over."""

    change: KeyChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The recovery set hands the account to new keys."""

    change: KeyChange


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClaim:
    """A device takes a number in the derivation tree, for good."""

    device: int

    def __post_init__(self) -> None:
        _check_device(self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRevocation:
    """A device is no longer one of the account's; its number stays taken."""

    device: int

    def __post_init__(self) -> None:
        _check_device(self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeyBinding:
    """A credential opens the account from here on.

    `method` names the kind, lower case. `identifier` is the salted digest of who it is, and
    `evidence` that of a wallet's certification, 32 bytes each (`account.root_key` makes both), so
    that the log names nobody.
    """

    method: str
    identifier: bytes
    evidence: bytes | None

    def __post_init__(self) -> None:
        if not _METHOD.fullmatch(self.method):
            raise BadKeyLogEntryError("a method is named by up to 32 lower-case letters, digits and underscores")
        if len(self.identifier) != DIGEST_BYTES or len(self.evidence or bytes(DIGEST_BYTES)) != DIGEST_BYTES:
            raise BadKeyLogEntryError("identifier and evidence are digests of 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeyRemoval:
    """A credential no longer opens the account."""

    identifier: bytes

    def __post_init__(self) -> None:
        if len(self.identifier) != DIGEST_BYTES:
            raise BadKeyLogEntryError("an identifier is a digest of 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A certificate is in force; its digest covers the signatures, so nobody can guess what it says."""

    serial: int
    certificate: bytes

    def __post_init__(self) -> None:
        _check_serial(self.serial)
        if len(self.certificate) != DIGEST_BYTES:
            raise BadKeyLogEntryError("the digest of a certificate has 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationRevocation:
    """A certificate is in force no longer."""

    serial: int

    def __post_init__(self) -> None:
        _check_serial(self.serial)


Change: TypeAlias = (
    Rotation
    | Recovery
    | DeviceClaim
    | DeviceRevocation
    | RootKeyBinding
    | RootKeyRemoval
    | Delegation
    | DelegationRevocation
)
"""What an entry after the inception does."""


def _check_device(device: int) -> None:
    if not 0 <= device < INDEX_END:
        raise BadKeyLogEntryError("the device number is outside of the derivation tree")


def _check_serial(serial: int) -> None:
    if not 0 <= serial < _SERIAL_END:
        raise BadKeyLogEntryError("the serial is out of range")
