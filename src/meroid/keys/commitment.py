"""The commitment to a client key's next keys: a hash chain that each rotation opens by one link.

`c(g) = H(key(g+1) ‖ c(g+1))`, where `key(g)` is the Ed25519 public key and the X25519 public key
of generation g, joined; the chain ends with zeros (`semantics.md` rule 11).
"""

from collections.abc import Iterable
from typing import Final

from meroid.errors import IntegrityError
from meroid.keys.canonical import tagged_hash
from meroid.keys.public import PublicKey

GENERATIONS: Final = 64
"""Client keys of one slot: generations 0 to 63. Part of the format; never changes."""
COMMITMENT_BYTES: Final = 32
NO_NEXT_KEYS: Final = bytes(COMMITMENT_BYTES)
"""The commitment of the last generation; no key fits it."""

_TAG: Final = "meroid/next-keys/v1"


class WrongNextKeysError(IntegrityError):
    """The keys of a rotation aren't those that the key before them committed to."""

    code = "wrong_next_keys"
    next_step = "rotate to the next generation of the same slot, derived from the account's seed"


def commit(signing: PublicKey, sealing: bytes, next_commitment: bytes) -> bytes:
    """One link: the commitment to a generation's keys and to everything after them; 32 bytes."""
    return tagged_hash(_TAG, signing, sealing, next_commitment)


def commit_to_all(generations: Iterable[tuple[PublicKey, bytes]]) -> bytes:
    """The commitment to all these keys, given from the last generation to the next one."""
    commitment = NO_NEXT_KEYS
    for signing, sealing in generations:
        commitment = commit(signing, sealing, commitment)
    return commitment


def check_next_keys(commitment: bytes, signing: PublicKey, sealing: bytes, next_commitment: bytes) -> None:
    """Check that keys are those which a commitment names.

    Raises:
        WrongNextKeysError: they aren't, or a part has the wrong length.
    """
    if len(sealing) != 32 or len(next_commitment) != COMMITMENT_BYTES:
        raise WrongNextKeysError("a sealing key and a commitment have 32 bytes each")
    if commit(signing, sealing, next_commitment) != commitment:
        raise WrongNextKeysError(f"{signing} is not the key that was committed to")
