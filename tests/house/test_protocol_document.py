"""docs/protocol.md is exact: what a second implementation makes by it alone is taken here, and the other way round.

The functions above the tests are that second implementation. They follow the document's names and use none of
meroid's encoders. When a test fails, change the document with the code.
"""

import base64
import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import cbor2
import nacl.signing
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from meroid.account.client_keys import ClientKeyPath
from meroid.account.seed import Seed
from meroid.clock import SystemClock
from meroid.ids import ContextId, Id32, OperationId
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealingKey
from meroid.keys.signer import Secret
from meroid.ledger import epoch as epochs
from meroid.ledger.codec import encode_operation
from meroid.ledger.operation import Kind, MemberKeys, Rekey
from meroid.ledger.verify import link_proof_message, read_operation
from meroid.service.invitations import decode_ticket, encode_ticket, invitation_secret
from meroid.service.link_codes import decode_link_code, holder_key, prove_holder
from meroid.service.payload import DeltaPayload
from meroid.service.peering import Desk, ProvenAsker
from meroid.service.ports.runtime import GuestEvent
from meroid.service.tickets import door_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
C = ContextId(bytes(range(32)))
SIGNER = nacl.signing.SigningKey(b"s" * 32)
ME = bytes(SIGNER.verify_key)
MY_SEALING = X25519PrivateKey.from_private_bytes(b"x" * 32)
K = b"k" * 32


def cbor(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)  # no map here mixes kinds of keys, so the order is the document's


def h(tag: str, *parts: bytes) -> bytes:
    return hashlib.sha256(tag.encode() + b"\x00" + b"".join(parts)).digest()


def sign(key: nacl.signing.SigningKey, tag: str, message: bytes) -> bytes:
    return key.sign(tag.encode() + b"\x00" + message).signature


def expand(key: bytes, label: str, *context: bytes, n: int = 32) -> bytes:
    return hmac.digest(key, cbor([label, *context]) + b"\x01", "sha256")[:n]


def seal(key: bytes, nonce: bytes, message: bytes, aad: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(nonce, message, aad)


def hpke(public: bytes, info: bytes, message: bytes) -> bytes:
    return SUITE.encrypt(message, X25519PublicKey.from_public_bytes(public), info=info)


def hpke_open(key: X25519PrivateKey, info: bytes, sealed: bytes) -> bytes:
    return SUITE.decrypt(sealed, key, info=info)


def envelope(fields: dict[int, Any]) -> tuple[bytes, bytes]:
    """Id and envelope of an operation."""
    payload = cbor(fields)
    signature = sign(SIGNER, "meroid/operation-signature/v1", payload)
    return h("meroid/operation/v1", payload), cbor([payload, signature])


def an_id(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


KEYS = {1: MY_SEALING.public_key().public_bytes_raw(), 2: bytes(32)}
APPLICATION = {1: an_id("application"), 2: an_id("blob"), 3: 5, 4: "file:///", 5: b"\x01"}
BODIES: dict[Kind, list[dict[int, Any]]] = {
    Kind.GENESIS: [{1: KEYS, 2: bytes(32), 3: {1: 2}, 4: APPLICATION}],
    Kind.INVITE: [{1: an_id("bob"), 3: [1, 2], 4: 1}, {2: ME, 3: [1]}],
    Kind.JOIN: [{1: an_id("invite"), 2: KEYS}, {1: an_id("invite"), 2: KEYS, 3: bytes(64)}],
    Kind.ADMIT: [{1: an_id("join")}],
    Kind.GRANT: [{1: an_id("bob"), 2: 4}],
    Kind.REVOKE: [{1: an_id("bob"), 2: 6, 3: []}],
    Kind.REMOVE: [{1: an_id("bob"), 2: [an_id("last")], 3: [an_id("cy")]}],
    Kind.LEAVE: [{}],
    Kind.ROTATE: [{1: an_id("bob"), 2: KEYS, 3: [an_id("last")]}],
    Kind.LINK: [{1: an_id("phone"), 2: KEYS, 3: [1, 2], 4: bytes(64)}],
    Kind.UNLINK: [{1: an_id("phone"), 2: [an_id("last")]}],
    Kind.REKEY: [{1: an_id("epoch"), 2: [[ME, bytes(80)]]}, {1: an_id("e"), 2: [[ME, b""]], 3: [an_id("d"), b""]}],
    Kind.DELTA: [{1: bytes(12), 2: b"ciphertext"}],
}


@pytest.mark.parametrize(("kind", "body"), [(kind, body) for kind, bodies in BODIES.items() for body in bodies])
def test_an_operation_by_the_document_is_read_under_the_same_id(kind: Kind, body: dict[int, Any]) -> None:
    fields: dict[int, Any] = {1: int(kind), 3: ME, 4: 1, 6: [], 9: body}
    if kind is not Kind.GENESIS:
        fields |= {2: bytes(C), 4: 2, 5: an_id("prev"), 6: sorted([an_id("a"), an_id("b")]), 7: an_id("auth")}
        fields |= {8: an_id("epoch")}
    operation_id, raw = envelope(fields)

    read = read_operation(raw)

    assert (read.operation_id, read.operation.kind) == (operation_id, kind)
    assert encode_operation(read.operation) == cbor(fields)


def test_what_follows_from_an_epoch_key_is_as_the_document_says() -> None:
    epoch_id = expand(K, "meroid/epoch-id/v1", C)

    assert epochs.epoch_id(C, K) == epoch_id
    assert epochs.topic(C, K) == expand(K, "meroid/epoch-topic/v1", C, n=16).hex()
    assert epochs.handle(C, K, PublicKey(ME)) == expand(K, "meroid/epoch-handle/v1", C, ME, n=16).hex()


def test_epoch_keys_are_wrapped_and_carried_on_as_the_document_says() -> None:
    epoch_id, before = expand(K, "meroid/epoch-id/v1", C), expand(b"j" * 32, "meroid/epoch-id/v1", C)
    info = cbor(["meroid/epoch-wrap/v1", bytes(C), epoch_id, ME, 7, ME])
    wrap = hpke(KEYS[1], info, K)
    carried = seal(expand(K, "meroid/epoch-previous/v1", C, before), bytes(12), b"j" * 32, C)

    rekey = Rekey(
        epoch=epochs.epoch_id(C, K), wraps=((PublicKey(ME), wrap),), previous=(epochs.epoch_id(C, b"j" * 32), carried)
    )
    opened = epochs.open_wrap(
        context=C,
        rekey=rekey,
        author=PublicKey(ME),
        seq=7,
        recipient=PublicKey(ME),
        sealing=SealingKey(Secret(b"x" * 32)),
    )

    assert opened == K
    assert epochs.open_previous(C, K, rekey) == (before, b"j" * 32)


def test_the_data_of_a_delta_opens_as_the_document_says() -> None:
    plaintext = cbor({1: b"artifact", 2: [["Inserted", b"{}", None]], 3: bytes(32)})
    bound = cbor([bytes(C), expand(K, "meroid/epoch-id/v1", C), ME, 7])
    ciphertext = seal(expand(K, "meroid/epoch-data/v1", C, ME), b"n" * 12, plaintext, bound)

    opened = epochs.open_data(C, K, PublicKey(ME), 7, b"n" * 12, ciphertext)

    told = DeltaPayload(artifact=b"artifact", events=(GuestEvent("Inserted", b"{}"),), root_hash=bytes(32))
    assert DeltaPayload.parse(opened) == told


def test_a_message_on_the_topic_is_sealed_as_the_document_says() -> None:
    salt, nonce = b"t" * 16, (1).to_bytes(12, "big")
    message = salt + nonce + seal(expand(K, "meroid/epoch-envelope/v1", C, salt), nonce, b"envelope", C)

    ours = epochs.EnvelopeSealer(C, K).seal(b"envelope")

    assert epochs.open_envelope(C, K, message) == b"envelope"
    key = expand(K, "meroid/epoch-envelope/v1", C, ours[:16])
    assert ours[16:] == nonce + seal(key, nonce, b"envelope", C)


def test_a_question_by_the_document_is_answered_to_its_key() -> None:
    responder = Seed(Secret(bytes(32))).client_keys(ClientKeyPath(device=0, slot=0))
    asked: list[ProvenAsker] = []

    def serve(asker: ProvenAsker) -> list[bytes | int | str]:  # any reply will do
        asked.append(asker)
        return [b"reply"]

    desk = Desk(C, "topic", "handle", responder, serve, SystemClock())  # type: ignore[arg-type]  # a list of one kind
    challenge = cbor2.loads(desk.answer(cbor({1: 1})) or b"")[1]
    once = X25519PrivateKey.generate()
    once_public = once.public_key().public_bytes_raw()
    question_tag, answer_tag = "meroid/peer-question/v1", "meroid/peer-answer/v1"

    def binding(tag: str, x: bytes) -> bytes:
        return cbor([bytes(C), "topic", "handle", ME, bytes(responder.public_key), challenge, h(tag, x)])

    content = cbor({1: 4})
    signature = sign(SIGNER, question_tag, binding(question_tag, once_public + content))
    info = cbor([question_tag, bytes(C), challenge, once_public])
    sealed = hpke(responder.sealing.public, info, cbor([ME, signature, content]))
    answer = cbor2.loads(desk.answer(cbor({1: 2, 2: challenge, 3: once_public, 4: sealed})) or b"")[1]
    signed, reply = cbor2.loads(hpke_open(once, cbor([answer_tag, challenge]), answer))

    assert [(each.key, each.request) for each in asked] == [(ME, {1: 4})]
    assert cbor2.loads(reply) == [b"reply"]
    message = answer_tag.encode() + b"\x00" + binding(answer_tag, reply)
    nacl.signing.VerifyKey(bytes(responder.public_key)).verify(message, signed)
    again = desk.answer(cbor({1: 2, 2: challenge, 3: once_public, 4: sealed}))
    assert again == cbor({0: 0})


def test_a_ticket_by_the_document_is_taken_and_ours_is_the_same() -> None:
    grant = OperationId(an_id("grant"))
    fields: dict[int, Any] = {
        1: bytes(grant),
        2: ME,
        3: KEYS[1],
        4: ["tcp/192.0.2.7:2428"],
        5: 1_700_000_000_000,
        6: 60,
    }
    signature = sign(SIGNER, "meroid/invitation-ticket/v1", cbor([bytes(C), fields]))
    text = "m1." + base64.urlsafe_b64encode(cbor({**fields, 7: signature})).decode().rstrip("=")

    ticket = decode_ticket(C, text)

    assert (ticket.grant, ticket.inviter, ticket.valid_for_s) == (grant, ME, 60)
    assert encode_ticket(ticket) == text
    assert door_of(grant).topic == h("meroid/door-topic/v1", grant)[:16].hex()
    assert door_of(grant).handle == h("meroid/door-handle/v1", grant)[:16].hex()


def test_a_link_code_by_the_document_is_taken_and_ours_is_the_same() -> None:
    offer, salt = an_id("offer"), b"s" * 32
    fields: dict[int, Any] = {1: offer, 2: ME, 3: KEYS[1], 4: [], 5: 1_700_000_000_000, 6: 600}
    signature = sign(SIGNER, "meroid/link-ticket/v1", cbor([bytes(C), fields]))
    content = cbor({1: bytes(C), 2: {**fields, 7: signature}, 3: salt})
    text = "l1." + base64.urlsafe_b64encode(content).decode().rstrip("=")

    code = decode_link_code(text)

    assert (code.ticket.context_id, code.ticket.grant, code.ticket.inviter, code.salt) == (C, offer, ME, salt)
    assert code.text == text
    holder = nacl.signing.SigningKey(h("meroid/link-secret/v1", salt))
    assert holder_key(salt) == bytes(holder.verify_key)
    assert prove_holder(salt, Id32(offer), PublicKey(ME)) == sign(holder, "meroid/link-holder/v1", cbor([offer, ME]))


def test_the_proof_of_a_link_is_as_the_document_says() -> None:
    keys = MemberKeys(sealing=KEYS[1], next_keys=KEYS[2])
    message = b"meroid/link-proof/v1\x00" + cbor([bytes(C), an_id("author"), ME, KEYS[1], KEYS[2]])

    assert link_proof_message(C, PublicKey(an_id("author")), PublicKey(ME), keys) == message


def test_the_secret_of_an_open_invitation_is_as_the_document_says() -> None:
    seed = h("meroid/invitation-secret/v1", b"a" * 32)

    assert invitation_secret(b"a" * 32).public_key == bytes(nacl.signing.SigningKey(seed).verify_key)


def test_every_tag_of_the_rooms_that_speak_with_others_stands_in_the_document() -> None:
    rooms = [ROOT / "src" / "meroid" / room for room in ("keys", "ledger", "service", "sync")]
    source = "".join(path.read_text("utf-8") for room in rooms for path in room.rglob("*.py"))
    tags = set(re.findall(r'"(meroid/[a-z-]+/v\d+)/?"', source))

    assert len(tags) > 15
    assert sorted(tag for tag in tags if f"`{tag}`" not in DOCUMENT) == []


def test_every_kind_of_operation_stands_in_the_document() -> None:
    rows = dict(re.findall(r"^\| (\d+) ([a-z]+) \| ", DOCUMENT.partition("## 3. Epochs")[0], re.M))

    assert rows == {str(int(kind)): kind.name.lower() for kind in Kind}
