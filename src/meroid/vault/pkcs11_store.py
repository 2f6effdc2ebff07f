"""The key store `pkcs11:`: a file in the home that opens only with a key that never leaves a token.

Each store key gets an AES-256 key of its own on the token: sensitive, not extractable, made there.
The token encrypts a random salt with it (AES-CBC, zero IV: two random blocks through a secret
permutation); what comes out, expanded, seals the store key with ChaCha20-Poly1305. AES-CBC is what
nearly every token with AES has; AES-GCM and the key-wrap mechanisms few have.

So the file alone is worth nothing, and the token alone neither. Who has the running machine has
the store key in memory, as with every key store. The file is a canonical map: version, the token
key's id (16 bytes), the salt (32 bytes), the nonce (12 bytes), the sealed key.
"""

import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meroid.errors import IntegrityError
from meroid.keys.canonical import canonical_bytes, parse_canonical
from meroid.keys.sealing import NONCE_BYTES, SealBrokenError, aead_open, aead_seal, expand
from meroid.keys.signer import Secret
from meroid.vault.file_store import OwnedFile, read_owned
from meroid.vault.key_store import (
    STORE_KEY_BYTES,
    KeyStore,
    KeyStoreDamagedError,
    KeyStoreTakenError,
    Surroundings,
)
from meroid.vault.locked_memory import LockedSecret
from meroid.vault.pkcs11_token import Pkcs11Token, TokenObjectMissingError
from meroid.vault.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri

if TYPE_CHECKING:
    from pkcs11 import Session
    from pkcs11.types import EncryptMixin

DEFAULT_LABEL: Final = "meroid store key"

_SEAL_LABEL: Final = "meroid/token-sealed-store-key/v1"
_VERSION: Final = 1
_ID_BYTES, _SALT_BYTES = 16, 32
_LONGEST_FILE: Final = 512
_AES_BITS: Final = 256
_ZERO_IV: Final = bytes(16)


def open_pkcs11_store(rest: str, surroundings: Surroundings) -> KeyStore:
    """`pkcs11:token=T;object=LABEL` and the query of RFC 7512; the label is that of the key on the token.

    Raises:
        BadPkcs11UriError, PinInUriError: as `parse_pkcs11_uri` says.
    """
    uri = parse_pkcs11_uri(rest)
    token = Pkcs11Token(uri, surroundings.ask)
    return Pkcs11SecretStore(token, uri.label or DEFAULT_LABEL, surroundings.home / _file_name(uri))


class Pkcs11SecretStore:
    """A store key sealed by a token; the file lies in the home, named after token and label."""

    def __init__(self, token: Pkcs11Token, label: str, path: Path) -> None:
        self._token = token
        self._label = label
        self._file = OwnedFile(path)

    @property
    def path(self) -> Path:
        """Where the sealed key lies."""
        return self._file.path

    @property
    def place(self) -> str:
        """Token, label and file."""
        return f"pkcs11: token {self._token.name}, object {self._label}, file {self.path}"

    @property
    def successor(self) -> "Pkcs11SecretStore":
        """The file with `.next` added to its name; its key on the token is another one."""
        return Pkcs11SecretStore(self._token, self._label, self._file.successor.path)

    def load(self) -> Secret | None:
        """The key, or nothing if there is no file.

        Raises:
            TokenObjectMissingError: the token lacks the key that the file names.
            KeyStoreDamagedError: the file was changed.
            Pkcs11Token's errors: the token can't be used.
            KeyStoreOpenToOthersError, KeyStoreUnavailableError: as for `file:`.
        """
        content = read_owned(self.path, _LONGEST_FILE)
        if content is None:
            return None
        key_id, salt, nonce, sealed = self._parse(content.reveal())
        wrapping = self._token.use(lambda session: _stretch(_find(session, key_id, self._label), salt))
        try:
            key = LockedSecret(aead_open(wrapping.reveal(), nonce, sealed, _bound(key_id, salt)))
        except SealBrokenError:
            raise KeyStoreDamagedError(f"{self.path} was changed, or the token's key is another one") from None
        if len(key) != STORE_KEY_BYTES:
            raise KeyStoreDamagedError(f"{self.path} holds no store key")
        return key

    def save(self, secret: Secret) -> None:
        """Make a key on the token, and the file that it seals.

        A crash in between leaves a key on the token that seals nothing.

        Raises:
            KeyStoreTakenError: the file is there already, or that of a rotation that isn't finished.
            Pkcs11Token's errors: the token can't be used.
            KeyStoreUnavailableError: the file can't be made.
        """
        if len(secret) != STORE_KEY_BYTES:
            raise ValueError(f"a store key has {STORE_KEY_BYTES} bytes")
        for file in (self._file, self._file.successor):
            if file.is_there:
                raise KeyStoreTakenError(f"{file.path} is there already")
        key_id, salt, nonce = (secrets.token_bytes(count) for count in (_ID_BYTES, _SALT_BYTES, NONCE_BYTES))
        wrapping = self._token.use(lambda session: _stretch(_make(session, key_id, self._label), salt))
        sealed = aead_seal(wrapping.reveal(), nonce, secret.reveal(), _bound(key_id, salt))
        self._file.make(
            Secret(canonical_bytes({"v": _VERSION, "id": key_id, "salt": salt, "nonce": nonce, "sealed": sealed}))
        )

    def remove(self) -> bool:
        """Remove the file and destroy its key on the token, so that no copy of the file opens any more.

        Raises:
            Pkcs11Token's errors: the token can't be used; the file has lost its name, and a repeated call goes on.
            KeyStoreUnavailableError: the file can't be removed.
        """
        self._file.retire()
        retired = read_owned(self._file.retired, _LONGEST_FILE)
        key_id = None if retired is None else self._key_id(retired.reveal())
        if key_id is not None:
            self._token.use(lambda session: _destroy(session, key_id, self._label))
        self._file.destroy()
        return True

    def promote(self) -> None:
        """Remove the key that is here, with its key on the token, and give the successor its name, if there is one.

        Raises:
            Pkcs11Token's errors, KeyStoreUnavailableError: as `remove` says.
        """
        if self._file.successor.is_there:
            self.remove()
            self._file.promote()

    def close(self) -> None:
        """Log out of the token."""
        self._token.close()

    def _key_id(self, content: bytes) -> bytes | None:
        try:
            return self._parse(content)[0]
        except KeyStoreDamagedError:  # overwritten before a crash, so the token's key was destroyed before that
            return None

    def _parse(self, content: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        try:
            fields = parse_canonical(content)
        except IntegrityError:
            fields = None
        match fields:
            case {
                "v": 1,
                "id": bytes() as key_id,
                "salt": bytes() as salt,
                "nonce": bytes() as nonce,
                "sealed": bytes() as sealed,
                **rest,
            } if not rest and (len(key_id), len(salt), len(nonce)) == (_ID_BYTES, _SALT_BYTES, NONCE_BYTES):
                return key_id, salt, nonce, sealed
        raise KeyStoreDamagedError(f"{self.path} is no store key sealed by a token")

    def __repr__(self) -> str:
        return f"Pkcs11SecretStore({self.place})"


def _file_name(uri: Pkcs11Uri) -> str:
    named = canonical_bytes([uri.token, uri.serial, uri.label or DEFAULT_LABEL])
    return f"store-key.{hashlib.sha256(named).hexdigest()[:16]}.pkcs11"


def _bound(key_id: bytes, salt: bytes) -> bytes:
    return canonical_bytes([_SEAL_LABEL, key_id, salt])


def _make(session: "Session", key_id: bytes, label: str) -> "EncryptMixin":
    from pkcs11 import Attribute, KeyType, MechanismFlag  # noqa: PLC0415 - an extra

    session.generate_key(
        KeyType.AES,
        _AES_BITS,
        id=key_id,
        label=label,
        store=True,
        capabilities=MechanismFlag.ENCRYPT,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
    )
    return _find(session, key_id, label)


def _find(session: "Session", key_id: bytes, label: str) -> "EncryptMixin":
    from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415 - an extra
    from pkcs11.types import EncryptMixin  # noqa: PLC0415 - an extra

    for found in session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.ID: key_id}):
        if isinstance(found, EncryptMixin):
            return found
    raise TokenObjectMissingError(f"the token has no key {label} with id {key_id.hex()}")


def _destroy(session: "Session", key_id: bytes, label: str) -> None:
    try:
        _find(session, key_id, label).destroy()
    except TokenObjectMissingError:
        return  # destroyed before an interruption


def _stretch(key: "EncryptMixin", salt: bytes) -> Secret:
    from pkcs11 import Mechanism  # noqa: PLC0415 - an extra

    output = key.encrypt(salt, mechanism=Mechanism.AES_CBC, mechanism_param=_ZERO_IV)
    return Secret(expand(bytes(output), _SEAL_LABEL))  # type: ignore[arg-type]
