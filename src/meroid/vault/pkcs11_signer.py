"""An Ed25519 key on a hardware token as account or root key: it signs there and never leaves it."""

import secrets
from typing import TYPE_CHECKING, Final, TypeAlias

from meroid.errors import ConflictError, ForbiddenError
from meroid.keys.canonical import tagged_message
from meroid.keys.public import PublicKey, verify_signature
from meroid.keys.signer import Ask
from meroid.vault.pkcs11_token import Pkcs11Token, TokenObjectMissingError, TokenUnsuitedError
from meroid.vault.pkcs11_uri import parse_pkcs11_uri

if TYPE_CHECKING:
    from pkcs11 import Session
    from pkcs11.types import SignMixin

DEFAULT_LABEL: Final = "meroid account key"

_PROOF_TAG: Final = "meroid/token-key-proof/v1"
_ID_BYTES: Final = 16
_KEY_BYTES: Final = 32
_OCTET_STRING: Final = b"\x04\x20"
# Ed25519 as CKA_EC_PARAMS: the OID 1.3.101.112 (RFC 8410), or the name (PKCS#11 3.0, "edwards25519").
_OID: Final = bytes.fromhex("06032b6570")
_NAME: Final = b"\x13\x0cedwards25519"

_Found: TypeAlias = "tuple[SignMixin, PublicKey, bool]"


class TokenObjectTakenError(ConflictError):
    """The token has a key of this label already; a second one couldn't be told from it."""

    code = "token_object_taken"
    next_step = "use the key that is there, or choose another label: object=…"


class TokenKeyExposedError(ForbiddenError):
    """The private key can be read out of the token, so it gives no more safety than a file."""

    code = "token_key_exposed"
    next_step = "make a new key on the token, sensitive and not extractable"


class Pkcs11Signer:
    """Signs with a key on a token. Made by `generate_account_key` and `find_account_key`, which check it."""

    def __init__(self, token: Pkcs11Token, label: str, public_key: PublicKey, *, made_on_token: bool) -> None:
        self._token = token
        self._label = label
        self._public_key = public_key
        self._made_on_token = made_on_token
        self._key: SignMixin | None = None
        self._session: Session | None = None

    @property
    def public_key(self) -> PublicKey:
        """The key that its signatures verify under."""
        return self._public_key

    @property
    def made_on_token(self) -> bool:
        """Whether the token says that the key was made there and could never be read out."""
        return self._made_on_token

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes.

        Raises:
            TokenUnpluggedError and the other errors of `Pkcs11Token.use`; the next call opens it again.
            BadSignatureError: the token signed with another key than this one.
        """
        signature = self._token.use(lambda session: self._sign(session, message))
        verify_signature(self._public_key, message, signature)
        return signature

    def close(self) -> None:
        """Log out of the token."""
        self._token.close()

    def _sign(self, session: "Session", message: bytes) -> bytes:
        if self._key is None or self._session is not session:
            self._key, _, _ = _find(session, self._label)
            self._session = session
        return _sign(self._key, message)

    def __repr__(self) -> str:
        return f"Pkcs11Signer({self._public_key})"


def generate_account_key(uri: str, ask: Ask | None = None) -> Pkcs11Signer:
    """Make a key pair on the token that a `pkcs11:` URI names; its `object` is the label.

    Raises:
        TokenObjectTakenError: a key of this label is there already.
        BadPkcs11UriError, PinInUriError: the URI.
        TokenUnsuitedError: the token has no Ed25519. All others of `Pkcs11Token.use`.
    """
    token, label = _opened(uri, ask)
    token.use(lambda session: _generate(session, label))
    return _signer(token, label)


def find_account_key(uri: str, ask: Ask | None = None) -> Pkcs11Signer:
    """The key pair that is on the token; it proves by a signature that both halves belong together.

    Raises:
        TokenObjectMissingError: there is no key pair of this label.
        TokenKeyExposedError: its private half can be read out.
        TokenUnsuitedError: two of them, or no Ed25519. All others of `Pkcs11Token.use`.
        BadPublicKeyError, BadSignatureError: the halves don't belong together.
    """
    return _signer(*_opened(uri, ask))


def _opened(uri: str, ask: Ask | None) -> tuple[Pkcs11Token, str]:
    parsed = parse_pkcs11_uri(uri.removeprefix("pkcs11:"))
    return Pkcs11Token(parsed, ask), parsed.label or DEFAULT_LABEL


def _signer(token: Pkcs11Token, label: str) -> Pkcs11Signer:
    public_key, made_on_token = token.use(lambda session: _find(session, label)[1:])
    signer = Pkcs11Signer(token, label, public_key.checked(), made_on_token=made_on_token)
    signer.sign(tagged_message(_PROOF_TAG, secrets.token_bytes(_KEY_BYTES)))
    return signer


def _generate(session: "Session", label: str) -> None:
    from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass  # noqa: PLC0415 - an extra
    from pkcs11.exceptions import AttributeValueInvalid, DomainParamsInvalid  # noqa: PLC0415 - an extra

    if list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label})):
        raise TokenObjectTakenError(f"the token has a key {label} already")
    for curve in (_OID, _NAME):
        domain = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: curve}, local=True)
        try:
            domain.generate_keypair(
                id=secrets.token_bytes(_ID_BYTES),
                label=label,
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
            )
        except (AttributeValueInvalid, DomainParamsInvalid):
            continue  # tokens differ in how the curve is written
        return
    raise TokenUnsuitedError("the token makes no Ed25519 keys")


def _find(session: "Session", label: str) -> _Found:
    """The private key, the public key, and whether it was made on the token."""
    from pkcs11 import Attribute, KeyType, ObjectClass  # noqa: PLC0415 - an extra
    from pkcs11.types import SignMixin  # noqa: PLC0415 - an extra

    found = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}))
    if len(found) > 1:
        raise TokenUnsuitedError(f"the token has {len(found)} keys {label}")
    if not found:
        raise TokenObjectMissingError(f"the token has no private key {label}")
    private = found[0]
    if private[Attribute.KEY_TYPE] != KeyType.EC_EDWARDS or not isinstance(private, SignMixin):
        raise TokenUnsuitedError(f"{label} is no Ed25519 key that signs")
    if not private[Attribute.SENSITIVE] or private[Attribute.EXTRACTABLE]:
        raise TokenKeyExposedError(f"the private key {label} can be read out of the token")
    kept = bool(private[Attribute.ALWAYS_SENSITIVE] and private[Attribute.NEVER_EXTRACTABLE])
    return private, _public_key(session, private[Attribute.ID], label), kept


def _public_key(session: "Session", key_id: bytes, label: str) -> PublicKey:
    from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415 - an extra

    for found in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: key_id}):
        point = bytes(found[Attribute.EC_POINT])
        if len(point) == _KEY_BYTES + len(_OCTET_STRING) and point.startswith(_OCTET_STRING):
            point = point[len(_OCTET_STRING) :]  # older drivers give the bare point
        if len(point) == _KEY_BYTES:
            return PublicKey(point)
    raise TokenObjectMissingError(f"the token has no public key {label}")


def _sign(key: "SignMixin", message: bytes) -> bytes:
    from pkcs11 import Mechanism  # noqa: PLC0415 - an extra

    return bytes(key.sign(message, mechanism=Mechanism.EDDSA))
