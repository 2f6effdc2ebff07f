"""The backup of an account: what the words can't give back, encrypted under a key that they can.

Sealed, it is a canonical array of version, account id, salt (32 bytes) and ciphertext
(ChaCha20-Poly1305). The key is expanded from the seed's backup secret and the salt, and used once, so
the nonce is zero; version and account id are the associated data. Whoever has the file but not the
words learns the account's id and about how long the list is.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.account.client_keys import ClientKeyPath
from meroid.account.key_log import verify_key_log
from meroid.account.seed import Seed
from meroid.errors import IntegrityError, MeroidError
from meroid.ids import ID_BYTES, AccountId, ContextId
from meroid.keys.armour import armour, unarmour
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical
from meroid.keys.sealing import NONCE_BYTES, SealBrokenError, aead_open, aead_seal, expand

_VERSION: Final = 1
_LABEL: Final = "meroid/backup/v1"
_KIND: Final = "MEROID BACKUP"
_SALT_BYTES: Final = 32
_NONCE: Final = bytes(NONCE_BYTES)  # each key seals once


class BadBackupError(IntegrityError):
    """The bytes aren't a backup, or what was sealed doesn't hold."""

    code = "bad_backup"
    next_step = "use another copy of the backup; the words alone restore the account and its keys"


class UnknownBackupVersionError(IntegrityError):
    """A backup of a version that isn't known here."""

    code = "backup_unknown_version"
    next_step = "update meroid, then restore again"


class BackupBrokenError(IntegrityError):
    """The backup doesn't open with these words: other words, or it was changed."""

    code = "backup_broken"
    next_step = "check that words and backup belong to one account, or use another copy of the backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpSlot:
    """A slot in use: its latest client key's path, and the context that it belongs to for good, if any."""

    path: ClientKeyPath
    context_id: ContextId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpContext:
    """A context of the account, and where its members could be reached."""

    context_id: ContextId
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContents:
    """All that is in a backup; `created_at` in ms since the epoch, UTC.

    Slots stand in the order of their paths, contexts in that of their ids, each once.

    Raises:
        BadBackupError: out of order, or a number out of range.
    """

    account_id: AccountId
    created_at: int
    key_log: tuple[bytes, ...]
    slots: tuple[BackedUpSlot, ...]
    contexts: tuple[BackedUpContext, ...]

    def __post_init__(self) -> None:
        places = [(slot.path.device, slot.path.slot) for slot in self.slots]
        ids = [context.context_id for context in self.contexts]
        if places != sorted(set(places)) or ids != sorted(set(ids)):
            raise BadBackupError("slots and contexts stand in order, each once")
        if not 0 <= self.created_at < 2**63:
            raise BadBackupError("the time is out of range")

    def encoded(self) -> bytes:
        """The canonical bytes that are sealed."""
        slots = [[each.path.device, each.path.slot, each.path.generation, each.context_id] for each in self.slots]
        return canonical_bytes(
            {
                "account": self.account_id,
                "created_at": self.created_at,
                "key_log": self.key_log,
                "slots": slots,
                "contexts": [[each.context_id, each.endpoints] for each in self.contexts],
            }
        )


def seal_backup(contents: BackupContents, seed: Seed) -> bytes:
    """Seal a backup under the words of the seed; each time gives other bytes.

    Raises:
        BadBackupError: larger than can be opened.
    """
    salt = secrets.token_bytes(_SALT_BYTES)
    plaintext = contents.encoded()
    if len(plaintext) + 1024 > limits.BACKUP_BYTES.value:
        raise BadBackupError(f"a backup has at most {limits.BACKUP_BYTES.value} bytes")
    sealed = aead_seal(_key(seed, salt), _NONCE, plaintext, _associated(contents.account_id))
    return canonical_bytes([_VERSION, contents.account_id, salt, sealed])


def backup_account(data: bytes) -> AccountId:
    """The account that a backup says it is of; only opening it shows whether that is true.

    Raises:
        BadBackupError, UnknownBackupVersionError, NotCanonicalError: no backup of a known version.
    """
    return _outside(data)[0]


def open_backup(data: bytes, seed: Seed) -> BackupContents:
    """Open a backup with the words of the seed, and verify the key log in it.

    Raises:
        BadBackupError, UnknownBackupVersionError, NotCanonicalError: no backup of a known version.
        BackupBrokenError: sealed under other words, or changed.
    """
    account_id, salt, sealed = _outside(data)
    try:
        plaintext = aead_open(_key(seed, salt), _NONCE, sealed, _associated(account_id))
    except SealBrokenError:
        raise BackupBrokenError("the backup doesn't open with these words") from None
    contents = _contents(parse_canonical(plaintext))
    try:
        log = verify_key_log(contents.key_log)
    except MeroidError as error:
        raise BadBackupError("the key log in the backup doesn't hold") from error
    if not account_id == contents.account_id == log.account_id:
        raise BadBackupError("the backup and the key log in it are of different accounts")
    return contents


def _outside(data: bytes) -> tuple[AccountId, bytes, bytes]:
    if len(data) > limits.BACKUP_BYTES.value:
        raise BadBackupError(f"a backup has at most {limits.BACKUP_BYTES.value} bytes")
    match parse_canonical(data):
        case [int() as version, *_] if version != _VERSION and not isinstance(version, bool):
            raise UnknownBackupVersionError("the backup is of an unknown version")
        case [int() as version, bytes() as account, bytes() as salt, bytes() as sealed] if (
            len(account) == ID_BYTES and len(salt) == _SALT_BYTES and not isinstance(version, bool)
        ):
            return AccountId(account), salt, sealed
        case _:
            raise BadBackupError("the bytes are no backup")


def _key(seed: Seed, salt: bytes) -> bytes:
    return expand(seed.backup_secret().reveal(), _LABEL, salt)


def _associated(account_id: AccountId) -> bytes:
    return canonical_bytes([_LABEL, _VERSION, account_id])


def _contents(fields: Value) -> BackupContents:
    match fields:
        case {
            "account": bytes() as account,
            "created_at": int() as created_at,
            "key_log": [*entries],
            "slots": [*slots],
            "contexts": [*contexts],
            **rest,
        } if not rest and len(account) == ID_BYTES and not isinstance(created_at, bool):
            return BackupContents(
                account_id=AccountId(account),
                created_at=created_at,
                key_log=tuple(map(_entry, entries)),
                slots=tuple(map(_slot, slots)),
                contexts=tuple(map(_context, contexts)),
            )
        case _:
            raise BadBackupError("what was sealed doesn't have the fields of a backup")


def _entry(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise BadBackupError("an entry of the key log is a byte string")
    return value


def _slot(value: Value) -> BackedUpSlot:
    match value:
        case [int() as device, int() as slot, int() as generation, bytes() | None as context] if (
            context is None or len(context) == ID_BYTES
        ) and not any(isinstance(number, bool) for number in (device, slot, generation)):
            path = ClientKeyPath(device=device, slot=slot, generation=generation)
            return BackedUpSlot(path=path, context_id=None if context is None else ContextId(context))
        case _:
            raise BadBackupError("a slot is device, slot, generation and a context or none")


def _context(value: Value) -> BackedUpContext:
    match value:
        case [bytes() as context, [*endpoints]] if len(context) == ID_BYTES:
            texts = tuple(text for text in endpoints if isinstance(text, str))
            if len(texts) == len(endpoints):
                return BackedUpContext(context_id=ContextId(context), endpoints=texts)
    raise BadBackupError("a context is an id with endpoints, which are texts")


def backup_text(data: bytes) -> str:
    """A sealed backup as a text file."""
    return armour(_KIND, data)


def parse_backup_text(text: str) -> bytes:
    """The bytes of a backup in a text file; nothing is opened yet.

    Raises:
        BadArmourError: the text isn't a backup, or was cut.
    """
    return unarmour(_KIND, text, most=limits.BACKUP_BYTES.value)
