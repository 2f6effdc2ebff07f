"""Delegation certificates."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.account_cast import Owner, code_of

from meroid.account.certificate import (
    BadCertificateError,
    CertificateExpiredError,
    DelegationCertificate,
    certificate_digest,
    delegation_of,
    issue_certificate,
    verify_certificate,
    verify_delegated,
)
from meroid.account.changes import DelegationRevocation
from meroid.errors import MeroidError
from meroid.ids import AccountId, ContextId
from meroid.keys.canonical import canonical_bytes
from meroid.keys.envelope import Envelope
from meroid.keys.public import BadPublicKeyError, BadSignatureError
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

TAG = "meroid/delegation-certificate/v1"
ACCOUNT = SoftwareSigner(Secret(b"a" * 32))
CLIENT = SoftwareSigner(Secret(b"c" * 32)).public_key
NUMBERS = st.integers(0, 2**63 - 1)
CERTIFICATES = st.builds(
    DelegationCertificate,
    account_id=st.binary(min_size=32, max_size=32).map(AccountId),
    client_key=st.just(CLIENT),
    context_id=st.none() | st.binary(min_size=32, max_size=32).map(ContextId),
    permissions=st.sets(st.text(max_size=30), max_size=5).map(lambda found: tuple(sorted(found))),
    serial=NUMBERS,
    expires_at=st.none() | NUMBERS,
)
PLAIN = DelegationCertificate(
    account_id=AccountId(bytes(32)),
    client_key=CLIENT,
    context_id=None,
    permissions=("blob", "context:execute"),
    serial=1,
    expires_at=1_000,
)
FIELDS: dict[str, Any] = {
    "account": bytes(32),
    "client_key": CLIENT,
    "context": None,
    "permissions": ["blob", "context:execute"],
    "serial": 1,
    "expires_at": 1_000,
}


@given(CERTIFICATES)
def test_a_certificate_comes_back_until_it_expires(certificate: DelegationCertificate) -> None:
    data = issue_certificate(certificate, ACCOUNT)
    end = certificate.expires_at
    if end is None:
        assert verify_certificate(data, ACCOUNT.public_key, at=2**63) == certificate
        return
    assert verify_certificate(data, ACCOUNT.public_key, at=end - 1) == certificate
    with pytest.raises(CertificateExpiredError):
        verify_certificate(data, ACCOUNT.public_key, at=end)


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    certificate = bytearray(issue_certificate(PLAIN, ACCOUNT))
    certificate[data.draw(st.integers(0, len(certificate) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MeroidError):
        verify_certificate(bytes(certificate), ACCOUNT.public_key, at=0)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MeroidError):
        verify_certificate(data, ACCOUNT.public_key, at=0)


def test_another_signer_or_purpose_is_refused() -> None:
    other = SoftwareSigner.generate()
    with pytest.raises(BadCertificateError):
        verify_certificate(issue_certificate(PLAIN, other), ACCOUNT.public_key, at=0)
    entry = Envelope.sign("meroid/key-log-entry/v1", PLAIN.payload(), ACCOUNT).encoded
    with pytest.raises(BadSignatureError):
        verify_certificate(entry, ACCOUNT.public_key, at=0)
    both = Envelope.sign(TAG, PLAIN.payload(), ACCOUNT, other).encoded
    with pytest.raises(BadCertificateError):
        verify_certificate(both, ACCOUNT.public_key, at=0)


@pytest.mark.parametrize(
    "changed",
    [
        {"more": 1},
        {"account": bytes(31)},
        {"client_key": "text"},
        {"context": b""},
        {"permissions": ["b", "a"]},
        {"permissions": ["a", "a"]},
        {"permissions": [b"a"]},
        {"permissions": "a"},
        {"serial": -1},
        {"serial": True},
        {"expires_at": -5},
        {"expires_at": False},
        {"expires_at": 2**63},
    ],
)
def test_signed_nonsense_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadCertificateError):
        verify_certificate(
            Envelope.sign(TAG, canonical_bytes(FIELDS | changed), ACCOUNT).encoded, ACCOUNT.public_key, at=0
        )


def test_a_client_key_of_small_order_is_refused() -> None:
    with pytest.raises(BadPublicKeyError):
        verify_certificate(
            Envelope.sign(TAG, canonical_bytes(FIELDS | {"client_key": bytes(32)}), ACCOUNT).encoded,
            ACCOUNT.public_key,
            at=0,
        )


def test_an_oversized_certificate_is_refused() -> None:
    with pytest.raises(BadCertificateError):
        verify_certificate(bytes(100_000), ACCOUNT.public_key, at=0)


def test_unsorted_permissions_are_refused_when_made() -> None:
    with pytest.raises(BadCertificateError):
        DelegationCertificate(
            account_id=AccountId(bytes(32)),
            client_key=CLIENT,
            context_id=None,
            permissions=("b", "a"),
            serial=0,
            expires_at=None,
        )


def delegated(owner: Owner, **changed: Any) -> bytes:
    """A certificate that the account issued and put in its log."""
    fields = {"account_id": owner.log.account_id, "serial": owner.log.state.next_serial, **changed}
    certificate = DelegationCertificate(
        client_key=CLIENT, context_id=None, permissions=("blob",), expires_at=1_000, **fields
    )
    data = issue_certificate(certificate, owner.key)
    owner.make(delegation_of(certificate, data))
    return data


def test_a_certificate_in_the_log_outlives_rotations_until_it_is_revoked() -> None:
    owner = Owner()
    data = delegated(owner)
    owner.rotate()
    owner.rotate()
    assert verify_delegated(data, owner.log, at=0).client_key == CLIENT
    assert code_of(lambda: verify_delegated(data, owner.log, at=1_000)) == "certificate_expired"
    owner.make(DelegationRevocation(serial=0))
    assert code_of(lambda: verify_delegated(data, owner.log, at=0)) == "certificate_not_in_force"


def test_a_certificate_that_is_not_in_the_log_is_not_in_force() -> None:
    owner = Owner()
    data = delegated(owner)
    stolen = issue_certificate(verify_delegated(data, owner.log, at=0), owner.seed.account_key(3))
    assert code_of(lambda: verify_delegated(stolen, owner.log, at=0)) == "certificate_not_in_force"
    assert code_of(lambda: verify_delegated(data, Owner().log, at=0)) == "certificate_not_in_force"
    assert code_of(lambda: verify_delegated(data, Owner("other").log, at=0)) == "certificate_not_in_force"
    assert code_of(lambda: verify_delegated(bytes(100_000), owner.log, at=0)) == "bad_certificate"


def test_another_account_cannot_put_a_certificate_in_force_by_its_own_log() -> None:
    owner, other = Owner(), Owner("other")
    data = delegated(owner)
    other.delegate(certificate_digest(data))
    assert code_of(lambda: verify_delegated(data, other.log, at=0)) == "certificate_not_in_force"


def test_a_log_does_not_give_away_the_client_keys_that_it_delegates_to() -> None:
    owner = Owner()
    data = delegated(owner)
    again = issue_certificate(verify_delegated(data, owner.log, at=0), owner.seed.account_key(1))
    assert bytes(CLIENT) not in owner.entries[-1]
    assert certificate_digest(data) in owner.entries[-1]
    # Who knows all that a certificate says, but has no signature, can't make its digest.
    assert certificate_digest(again) != certificate_digest(data)


def test_several_account_keys_sign_a_certificate_together() -> None:
    other = SoftwareSigner(Secret(b"b" * 32))
    envelope = Envelope.parse(issue_certificate(PLAIN, ACCOUNT, other))
    assert set(envelope.signers) == {ACCOUNT.public_key, other.public_key}
