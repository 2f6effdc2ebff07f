"""Identity proofs: what a third party accepts, offline, and what it refuses."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.account_cast import Owner, code_of, signer_of

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import AccountKeys, KeyChange, NextKeys
from meroid.account.changes import DelegationRevocation, Rotation
from meroid.account.client_keys import ClientKeyPath
from meroid.account.key_log import EntryDraft, extend_key_log
from meroid.account.proof import IdentityProof, make_proof, parse_proof_text, proof_text, verify_proof
from meroid.errors import MeroidError
from meroid.ids import ContextId
from meroid.keys.canonical import canonical_bytes
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey

TAG = "meroid/identity-proof/v1"
OWNER = Owner()
CLIENT = OWNER.seed.client_keys(ClientKeyPath(device=0, slot=4))
ACCOUNT = OWNER.seed.account_key(0)
FIELDS: dict[str, Any] = {
    "account": OWNER.log.account_id,
    "client_key": CLIENT.public_key,
    "context": None,
    "serial": None,
    "audience": "shop.example",
    "expires_at": 1_000,
}


def proof(**changed: Any) -> IdentityProof:
    fields: dict[str, Any] = {
        "account_id": OWNER.log.account_id,
        "client_key": CLIENT.public_key,
        "context_id": None,
        "serial": None,
        "audience": "shop.example",
        "expires_at": 1_000,
    }
    return IdentityProof(**(fields | changed))


def check(
    data: bytes,
    account: PublicKey | VerifiedKeyLog = ACCOUNT.public_key,
    *,
    audience: str = "shop.example",
    at: int = 999,
) -> IdentityProof:
    return verify_proof(data, account, audience=audience, at=at)


PROOF = make_proof(proof(), CLIENT, [ACCOUNT])


def test_a_proof_holds_with_the_accounts_key_alone_or_with_its_log() -> None:
    assert check(PROOF) == check(PROOF, OWNER.log) == proof()
    named = proof(context_id=ContextId(b"c" * 32))
    assert check(make_proof(named, CLIENT, [ACCOUNT])) == named


def test_a_proof_as_a_text_file_comes_back() -> None:
    text = proof_text(PROOF)
    assert text.startswith("-----BEGIN MEROID IDENTITY PROOF-----\n")
    assert parse_proof_text(text) == PROOF
    assert parse_proof_text("\r\n  " + text.replace("\n", "\r\n") + "\n") == PROOF
    assert code_of(lambda: parse_proof_text(text[:-20])) == "bad_armour"
    assert code_of(lambda: parse_proof_text(text.replace("PROOF", "BACKUP"))) == "bad_armour"


def test_wrong_audience_expired_and_not_belonging_have_codes_of_their_own() -> None:
    assert code_of(lambda: check(PROOF, audience="other.example")) == "proof_wrong_audience"
    assert code_of(lambda: check(PROOF, audience="")) == "proof_wrong_audience"
    assert code_of(lambda: check(PROOF, at=1_000)) == "proof_expired"
    assert code_of(lambda: check(PROOF, signer_of("other").public_key)) == "proof_not_of_account"
    assert code_of(lambda: check(PROOF, Owner("other").log)) == "proof_not_of_account"


def test_a_proof_of_one_party_alone_proves_nothing() -> None:
    by_account = Envelope.sign(TAG, proof().payload(), ACCOUNT).encoded
    by_client = Envelope.sign(TAG, proof().payload(), CLIENT).encoded
    by_a_third = Envelope.sign(TAG, proof().payload(), CLIENT, ACCOUNT, signer_of("eve")).encoded
    for data in (by_account, by_client, by_a_third):
        assert code_of(lambda data=data: check(data)) == "proof_not_of_account"  # type: ignore[misc]


def test_a_thief_cannot_prove_with_an_own_account_key_or_another_client_key() -> None:
    eve = signer_of("eve")
    assert code_of(lambda: check(make_proof(proof(), CLIENT, [eve]))) == "proof_not_of_account"
    claimed = Envelope.sign(TAG, proof(client_key=CLIENT.public_key).payload(), eve, ACCOUNT).encoded
    assert code_of(lambda: check(claimed)) == "proof_not_of_account"
    with pytest.raises(ValueError, match="another client key"):
        make_proof(proof(), eve, [ACCOUNT])


def test_the_account_key_is_no_client_key_of_itself() -> None:
    self_made = Envelope.sign(TAG, proof(client_key=ACCOUNT.public_key).payload(), ACCOUNT).encoded
    assert code_of(lambda: check(self_made)) == "proof_not_of_account"


def test_after_a_rotation_the_old_keys_proofs_no_longer_hold() -> None:
    owner = Owner()
    owner.rotate()
    assert code_of(lambda: check(PROOF, owner.log)) == "proof_not_of_account"
    assert check(make_proof(proof(), CLIENT, [owner.key]), owner.log) == proof()


def test_a_revoked_delegation_ends_its_proofs() -> None:
    owner = Owner()
    data = make_proof(proof(serial=0), CLIENT, [owner.key])
    assert code_of(lambda: check(data, owner.log)) == "proof_delegation_revoked"
    owner.delegate()
    assert check(data, owner.log).serial == 0
    owner.make(DelegationRevocation(serial=0))
    assert code_of(lambda: check(data, owner.log)) == "proof_delegation_revoked"


def test_a_threshold_account_proves_with_its_threshold() -> None:
    owner = Owner()
    first, second = owner.seed.account_key(0), owner.seed.account_key(1)
    people = [signer_of(name) for name in ("ann", "bob", "cem")]
    public = [each.public_key for each in people]
    invite = KeyChange(keys=AccountKeys.of(second.public_key), next=NextKeys.of(*public, threshold=2), recovery=None)
    owner.make(Rotation(change=invite), first, second)
    trio = KeyChange(
        keys=AccountKeys.of(*public, threshold=2), next=NextKeys.of(signer_of("x").public_key), recovery=None
    )
    log = extend_key_log(owner.log, EntryDraft.of(owner.log, Rotation(change=trio)).signed(*people).encoded)
    assert check(make_proof(proof(), CLIENT, people[:2]), log) == proof()
    assert code_of(lambda: check(make_proof(proof(), CLIENT, people[:1]), log)) == "proof_not_of_account"


@settings(max_examples=100)
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    changed = bytearray(PROOF)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MeroidError):
        check(bytes(changed), OWNER.log)


@given(st.binary(max_size=200), st.text(max_size=200))
def test_anything_is_refused_as_input(data: bytes, text: str) -> None:
    with pytest.raises(MeroidError):
        check(data)
    with pytest.raises(MeroidError):
        parse_proof_text(text)


@pytest.mark.parametrize(
    "changed",
    [
        {"more": 1},
        {"account": b"short"},
        {"client_key": 1},
        {"context": b""},
        {"serial": -1},
        {"serial": False},
        {"audience": ""},
        {"audience": "a" * 513},
        {"audience": "a\nb"},
        {"expires_at": None},
        {"expires_at": True},
        {"expires_at": -1},
        {"expires_at": 2**63},
    ],
)
def test_signed_nonsense_is_refused(changed: dict[str, Any]) -> None:
    data = Envelope.sign(TAG, canonical_bytes(FIELDS | changed), CLIENT, ACCOUNT).encoded
    assert code_of(lambda: check(data)) == "bad_proof"


def test_a_client_key_of_small_order_and_an_oversized_proof_are_refused() -> None:
    data = Envelope.sign(TAG, canonical_bytes(FIELDS | {"client_key": bytes(32)}), ACCOUNT).encoded
    assert code_of(lambda: check(data)) == "bad_public_key"
    assert code_of(lambda: check(bytes(20_000))) == "bad_proof"


def test_a_proof_says_nothing_of_other_client_keys() -> None:
    other = OWNER.seed.client_keys(ClientKeyPath(device=0, slot=5))
    assert bytes(other.public_key) not in PROOF
