"""Delegation certificates."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from meroid.account.certificate import (
    BadCertificateError,
    CertificateExpiredError,
    DelegationCertificate,
    issue_certificate,
    verify_certificate,
)
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
