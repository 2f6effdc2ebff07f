"""HPKE in base mode, written from RFC 9180 for X25519, HKDF-SHA256 and ChaCha20-Poly1305, sender's side.

It takes the Diffie-Hellman result from outside, so that vectors can say what it has to be.
"""

import hmac

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_KEM = b"KEM" + (0x0020).to_bytes(2, "big")
_HPKE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0003))


def extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    output = block = b""
    counter = 0
    while len(output) < length:
        counter += 1
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]


def labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def seal(dh: bytes, ephemeral: bytes, recipient: bytes, info: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
    """The ephemeral public key and the ciphertext, for a given Diffie-Hellman result."""
    secret = labeled_expand(
        _KEM, labeled_extract(_KEM, b"", b"eae_prk", dh), b"shared_secret", ephemeral + recipient, 32
    )
    context = (
        b"\x00" + labeled_extract(_HPKE, b"", b"psk_id_hash", b"") + labeled_extract(_HPKE, b"", b"info_hash", info)
    )
    scheduled = labeled_extract(_HPKE, secret, b"secret", b"")
    key = labeled_expand(_HPKE, scheduled, b"key", context, 32)
    nonce = labeled_expand(_HPKE, scheduled, b"base_nonce", context, 12)
    return ephemeral + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)
