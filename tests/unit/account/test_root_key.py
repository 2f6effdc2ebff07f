"""Root keys in the log name nobody; a wallet's certification is evidence for one account only."""

import pytest
from tests.account_cast import Owner, code_of, seed_of, signer_of

from meroid.account.changes import RootKeyBinding
from meroid.account.root_key import (
    WalletCertification,
    certification_text,
    check_wallet_evidence,
    root_key_identifier,
    root_key_salt,
    wallet_binding,
)
from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.canonical import canonical_bytes, parse_canonical
from meroid.keys.nep413 import Nep413Message

OWNER = Owner()
WALLET = signer_of("wallet")
SALT = root_key_salt(OWNER.seed, "near_wallet", "ann.near")


def certification(account_id: AccountId = OWNER.log.account_id, **changed: str) -> WalletCertification:
    text = changed.get("message", certification_text(account_id))
    signed = Nep413Message(message=text, nonce=b"n" * 32, recipient="meroid")
    return WalletCertification(signed=signed, key=WALLET.public_key, signature=WALLET.sign(signed.digest()))


def test_a_wallet_is_bound_with_evidence_that_anyone_checks() -> None:
    owner = Owner()
    binding = wallet_binding(owner.log.account_id, "ann.near", SALT, certification())
    owner.make(binding)
    bound = owner.log.state.root_keys[root_key_identifier("near_wallet", "ann.near", SALT)]
    assert bound == binding
    assert check_wallet_evidence(owner.log.account_id, bound, certification().encoded) == certification()


def test_the_log_holds_neither_name_nor_key_nor_signature() -> None:
    owner = Owner()
    owner.make(wallet_binding(owner.log.account_id, "ann.near", SALT, certification()))
    entry = owner.entries[-1]
    for given_away in (b"ann.near", bytes(WALLET.public_key), certification().signature, SALT):
        assert given_away not in entry


def test_salts_differ_by_seed_method_and_name_and_come_back_with_the_words() -> None:
    salts = {
        SALT,
        root_key_salt(OWNER.seed, "near_wallet", "bob.near"),
        root_key_salt(OWNER.seed, "user_password", "ann.near"),
        root_key_salt(seed_of("other"), "near_wallet", "ann.near"),
    }
    assert len(salts) == 4
    restored = Seed.from_words(OWNER.seed.words().reveal().decode())
    assert root_key_salt(restored, "near_wallet", "ann.near") == SALT


def test_the_same_name_under_another_salt_or_method_is_another_identifier() -> None:
    found = {
        root_key_identifier("user_password", "ann", SALT),
        root_key_identifier("near_wallet", "ann", SALT),
        root_key_identifier("user_password", "ann", bytes(32)),
    }
    assert len(found) == 3
    with pytest.raises(ValueError, match="32 bytes"):
        root_key_identifier("user_password", "ann", b"short")


def test_a_certification_of_another_account_or_another_text_is_refused() -> None:
    account = OWNER.log.account_id
    for wrong in (certification(Owner("other").log.account_id), certification(message="Sign in")):
        assert code_of(lambda wrong=wrong: wallet_binding(account, "ann.near", SALT, wrong)) == (  # type: ignore[misc]
            "bad_wallet_certification"
        )
    unsigned = WalletCertification(signed=certification().signed, key=WALLET.public_key, signature=bytes(64))
    assert code_of(lambda: wallet_binding(account, "ann.near", SALT, unsigned)) == "near_signature_invalid"


def test_other_evidence_than_what_was_bound_is_refused() -> None:
    account = OWNER.log.account_id
    binding = wallet_binding(account, "ann.near", SALT, certification())
    signed = Nep413Message(message=certification_text(account), nonce=b"m" * 32, recipient="meroid")
    other = WalletCertification(signed=signed, key=WALLET.public_key, signature=WALLET.sign(signed.digest()))
    assert code_of(lambda: check_wallet_evidence(account, binding, other.encoded)) == "bad_wallet_certification"
    none = RootKeyBinding(method="near_wallet", identifier=binding.identifier, evidence=None)
    assert code_of(lambda: check_wallet_evidence(account, none, other.encoded)) == "bad_wallet_certification"
    elsewhere = Owner("other").log.account_id
    assert code_of(lambda: check_wallet_evidence(elsewhere, binding, certification().encoded)) == (
        "bad_wallet_certification"
    )


def test_evidence_that_is_none_is_refused() -> None:
    fields = parse_canonical(certification().encoded)
    assert isinstance(fields, dict)
    for changed in ({"key": b"short"}, {"signature": bytes(63)}, {"message": 1}, {"more": 1}, {"callback_url": 1}):
        data = canonical_bytes(fields | changed)
        assert code_of(lambda data=data: WalletCertification.parse(data)) == "bad_wallet_certification"  # type: ignore[misc]
    assert code_of(lambda: WalletCertification.parse(bytes(100_000))) == "bad_wallet_certification"
    assert code_of(lambda: WalletCertification.parse(b"")) == "not_canonical"
    weak = canonical_bytes(fields | {"key": bytes(32)})
    assert code_of(lambda: WalletCertification.parse(weak)) == "bad_public_key"
    assert WalletCertification.parse(certification().encoded) == certification()
