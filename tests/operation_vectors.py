"""Writes `tests/vectors/operations.json`: one operation of each kind, by fixed keys, byte for byte.

Run it only when a kind is added: bytes that are there never change, because operations that were
signed once are read for ever.
"""

from __future__ import annotations

import json
from pathlib import Path

from meroid.ids import ApplicationId, BlobId, ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealingKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.operation import (
    Admit,
    Binding,
    Body,
    Delta,
    Genesis,
    Grant,
    Invite,
    Join,
    Leave,
    Link,
    MemberKeys,
    Operation,
    Policy,
    Rekey,
    Remove,
    Revoke,
    Rotate,
    Unlink,
    VerifiedOperation,
)
from meroid.ledger.verify import sign_operation

VECTORS = Path(__file__).parent / "vectors" / "operations.json"
SIGNER = SoftwareSigner(Secret(bytes(range(32))))
OTHER = SoftwareSigner(Secret(bytes(range(32, 64)))).public_key
KEYS = MemberKeys(sealing=SealingKey(Secret(bytes(range(64, 96)))).public, next_keys=b"n" * 32)
CONTEXT = ContextId(b"c" * 32)
ONE, TWO = OperationId(b"1" * 32), OperationId(b"2" * 32)
EPOCH = EpochId(b"e" * 32)

BODIES: dict[str, Body] = {
    "genesis": Genesis(
        keys=KEYS,
        nonce=b"o" * 32,
        policy=Policy(voices=2),
        application=Binding(
            application_id=ApplicationId(b"a" * 32),
            blob_id=BlobId(b"b" * 32),
            size=300,
            source="https://example.org",
            metadata=b"m",
        ),
    ),
    "invite by name": Invite(invitee=OTHER, secret_key=None, capabilities=ON_JOINING, uses=1),
    "invite by secret": Invite(invitee=None, secret_key=OTHER, capabilities=frozenset(Capability), uses=None),
    "join by name": Join(invitation=ONE, keys=KEYS, proof=None),
    "join by secret": Join(invitation=ONE, keys=KEYS, proof=b"p" * 64),
    "admit": Admit(join=ONE),
    "grant": Grant(member=OTHER, capability=Capability.MANAGE_MEMBERS),
    "revoke": Revoke(member=OTHER, capability=Capability.READ, frontier=(ONE,)),
    "remove": Remove(member=OTHER, frontier=(ONE, TWO), cascade=(PublicKey(b"k" * 32),)),
    "leave": Leave(),
    "rotate": Rotate(previous=OTHER, keys=KEYS, frontier=(TWO,)),
    "link": Link(key=OTHER, keys=KEYS, capabilities=ON_JOINING, proof=b"p" * 64),
    "unlink": Unlink(key=OTHER, frontier=(ONE,)),
    "first rekey": Rekey(epoch=EPOCH, wraps=((OTHER, b"w" * 80),), previous=None),
    "rekey": Rekey(epoch=EPOCH, wraps=((OTHER, b"w" * 80),), previous=(EpochId(b"f" * 32), b"s" * 48)),
    "delta": Delta(nonce=b"d" * 12, ciphertext=b"ciphertext"),
}


def operation_of(body: Body) -> Operation:
    """An operation with this body; everything but the genesis has a past."""
    if isinstance(body, Genesis):
        return Operation(
            context=None, author=SIGNER.public_key, seq=1, prev=None, parents=(), auth=None, epoch=None, body=body
        )
    return Operation(
        context=CONTEXT,
        author=SIGNER.public_key,
        seq=7,
        prev=ONE,
        parents=(ONE, TWO),
        auth=TWO,
        epoch=EPOCH,
        body=body,
    )


def signed() -> dict[str, VerifiedOperation]:
    """All of them, signed."""
    return {name: sign_operation(operation_of(body), SIGNER) for name, body in BODIES.items()}


def main() -> None:
    """Write the file; what stands there already has to stay."""
    made = {
        name: {"id": operation.operation_id.hex(), "envelope": operation.envelope.hex()}
        for name, operation in signed().items()
    }
    before = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
    changed = [name for name, vector in before.items() if made.get(name) != vector]
    if changed:
        raise SystemExit(f"these would change, and must not: {', '.join(changed)}")
    VECTORS.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
