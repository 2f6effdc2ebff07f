"""Epoch keys and what follows from them (`semantics.md` §3).

An epoch key is 32 random bytes. Its id is derived from it, so that a member who got a key can check
that it is the one that the `rekey` names, and nobody can give different keys to different members.
From the key follow the topic of the context's traffic, the key of the envelopes in which operations
travel, and one key per author for data.
"""

import secrets
from collections.abc import Iterable
from typing import Final

from meroid.ids import ContextId, EpochId
from meroid.keys.canonical import canonical_bytes
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealBrokenError, SealingKey, aead_open, aead_seal, expand, hpke_open, hpke_seal
from meroid.ledger.operation import Rekey

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_WRAP_TAG: Final = "meroid/epoch-wrap/v1"
_ZERO_NONCE: Final = bytes(NONCE_BYTES)


def new_epoch_key() -> bytes:
    """A fresh epoch key."""
    return secrets.token_bytes(KEY_BYTES)


def epoch_id(context: ContextId, key: bytes) -> EpochId:
    """The id that commits to a key."""
    return EpochId(expand(key, "meroid/epoch-id/v1", context))


def topic(context: ContextId, key: bytes) -> str:
    """The topic of the context's traffic in this epoch: 32 hex digits."""
    return expand(key, "meroid/epoch-topic/v1", context, length=16).hex()


def handle(context: ContextId, key: bytes, member: PublicKey) -> str:
    """Under which name a member is present on the topic: 32 hex digits."""
    return expand(key, "meroid/epoch-handle/v1", context, member, length=16).hex()


def wrap_info(context: ContextId, epoch: EpochId, author: PublicKey, seq: int, recipient: PublicKey) -> bytes:
    """The HPKE `info`: binds context, epoch, operation (its author and number) and recipient."""
    return canonical_bytes([_WRAP_TAG, context, epoch, author, seq, recipient])


def compose_rekey(  # each is a fact that the wrap binds
    *,
    context: ContextId,
    key: bytes,
    author: PublicKey,
    seq: int,
    recipients: Iterable[tuple[PublicKey, bytes]],
    previous: tuple[EpochId, bytes] | None,
) -> Rekey:
    """The body of a `rekey`.

    Args:
        context: the context.
        key: the new epoch key.
        author: who signs the operation.
        seq: the number that the operation will have.
        recipients: client key and X25519 key of each reader.
        previous: id and key of the epoch before, which the new key opens; `None` for the first.
    """
    epoch = epoch_id(context, key)
    wraps = tuple(
        (recipient, hpke_seal(sealing, wrap_info(context, epoch, author, seq, recipient), key))
        for recipient, sealing in sorted(recipients)
    )
    sealed = None if previous is None else (previous[0], _seal_previous(context, key, previous))
    return Rekey(epoch=epoch, wraps=wraps, previous=sealed)


def _seal_previous(context: ContextId, key: bytes, previous: tuple[EpochId, bytes]) -> bytes:
    # one message under this derived key ever, so the nonce may be constant
    wrapping = expand(key, "meroid/epoch-previous/v1", context, previous[0])
    return aead_seal(wrapping, _ZERO_NONCE, previous[1], context)


def open_wrap(  # each is a fact that the wrap binds
    *, context: ContextId, rekey: Rekey, author: PublicKey, seq: int, recipient: PublicKey, sealing: SealingKey
) -> bytes | None:
    """The epoch key, if a `rekey` was sealed for this recipient and holds the key that it names."""
    for key, sealed in rekey.wraps:
        if key == recipient:
            try:
                opened = hpke_open(sealing, wrap_info(context, rekey.epoch, author, seq, recipient), sealed)
            except SealBrokenError:
                return None
            return opened if is_key_of(context, rekey.epoch, opened) else None
    return None


def open_previous(context: ContextId, key: bytes, rekey: Rekey) -> tuple[EpochId, bytes] | None:
    """The epoch before a `rekey` and its key, if the `rekey` carries it intact."""
    if rekey.previous is None:
        return None
    before, sealed = rekey.previous
    wrapping = expand(key, "meroid/epoch-previous/v1", context, before)
    try:
        opened = aead_open(wrapping, _ZERO_NONCE, sealed, context)
    except SealBrokenError:
        return None
    return (before, opened) if is_key_of(context, before, opened) else None


def is_key_of(context: ContextId, epoch: EpochId, key: bytes) -> bool:
    """Whether these are 32 bytes that this epoch id commits to."""
    return len(key) == KEY_BYTES and epoch_id(context, key) == epoch


def _data_key(context: ContextId, key: bytes, author: PublicKey) -> bytes:
    return expand(key, "meroid/epoch-data/v1", context, author)


def _data_binding(context: ContextId, epoch: EpochId, author: PublicKey, seq: int) -> bytes:
    return canonical_bytes([context, epoch, author, seq])


def seal_data(context: ContextId, key: bytes, author: PublicKey, seq: int, plaintext: bytes) -> tuple[bytes, bytes]:
    """Encrypt a delta's data under the key of this author in this epoch: nonce and ciphertext.

    The nonce is random: a restored device may reuse a `seq`, and must not reuse a nonce with it.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    binding = _data_binding(context, epoch_id(context, key), author, seq)
    return nonce, aead_seal(_data_key(context, key, author), nonce, plaintext, binding)


def open_data(  # each is a fact that the ciphertext is bound to
    context: ContextId, key: bytes, author: PublicKey, seq: int, nonce: bytes, ciphertext: bytes
) -> bytes:
    """Decrypt a delta's data.

    Raises:
        SealBrokenError: another key, author, number or context, or changed bytes.
    """
    binding = _data_binding(context, epoch_id(context, key), author, seq)
    return aead_open(_data_key(context, key, author), nonce, ciphertext, binding)


class EnvelopeSealer:
    """Seals what this node sends on one epoch's topic.

    Every sealer draws a salt of its own and derives its key from it, and counts its nonces; so two
    nodes, or one node before and after a restart, never share key and nonce.
    """

    def __init__(self, context: ContextId, key: bytes) -> None:
        self._context = context
        self._salt = secrets.token_bytes(16)
        self._key = expand(key, "meroid/epoch-envelope/v1", context, self._salt)
        self._count = 0

    def seal(self, message: bytes) -> bytes:
        """16 bytes of salt, 12 of nonce, the ciphertext."""
        self._count += 1
        nonce = self._count.to_bytes(NONCE_BYTES, "big")
        return self._salt + nonce + aead_seal(self._key, nonce, message, self._context)


def open_envelope(context: ContextId, key: bytes, sealed: bytes) -> bytes:
    """Open what a member sent on the topic of this epoch.

    Raises:
        SealBrokenError: not sealed under this epoch's key, or changed.
    """
    salt, nonce, ciphertext = sealed[:16], sealed[16:28], sealed[28:]
    if len(nonce) != NONCE_BYTES:
        raise SealBrokenError("the envelope is too short")
    return aead_open(expand(key, "meroid/epoch-envelope/v1", context, salt), nonce, ciphertext, context)
