"""An Ed25519 key on a hardware token as account key, on SoftHSM."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from meroid.keys.public import verify_signature
from meroid.keys.signer import Signer
from meroid.vault.pkcs11_signer import (
    Pkcs11Signer,
    TokenKeyExposedError,
    TokenObjectTakenError,
    find_account_key,
    generate_account_key,
)
from meroid.vault.pkcs11_token import TokenObjectMissingError, TokenUnpluggedError, TokenUnsuitedError

pytestmark = pytest.mark.needs("softhsm2")


def session_on(token: Any) -> Any:
    return pkcs11.lib(str(token.module)).get_token(token_label=token.name).open(rw=True, user_pin="pin-98760")


def make(session: Any, label: str, **private: bool) -> None:
    domain = session.create_domain_parameters(
        KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: bytes.fromhex("06032b6570")}, local=True
    )
    domain.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        store=True,
        id=label.encode(),
        label=label,
        private_template={Attribute[name.upper()]: value for name, value in private.items()},
    )


def test_a_key_made_on_the_token_signs_and_anyone_verifies(token: Any) -> None:
    signer: Signer = generate_account_key(token.uri())
    signature = signer.sign(b"a message")
    verify_signature(signer.public_key, b"a message", signature)
    Ed25519PublicKey.from_public_bytes(bytes(signer.public_key)).verify(signature, b"a message")


def test_the_same_key_is_found_again(token: Any) -> None:
    made = generate_account_key(token.uri("object=root"))
    made.close()
    found = find_account_key(token.uri("object=root"))
    assert found.public_key == made.public_key
    assert found.made_on_token
    assert found.sign(b"m") == made.sign(b"m")


def test_a_label_is_used_once(token: Any) -> None:
    first = generate_account_key(token.uri())
    with pytest.raises(TokenObjectTakenError) as caught:
        generate_account_key(token.uri())
    assert caught.value.code == "token_object_taken"
    assert find_account_key(token.uri()).public_key == first.public_key
    assert generate_account_key(token.uri("object=second")).public_key != first.public_key


def test_a_missing_key_is_refused(token: Any) -> None:
    with pytest.raises(TokenObjectMissingError) as caught:
        find_account_key(token.uri("object=absent"))
    assert caught.value.code == "token_object_missing"


@pytest.mark.parametrize("attributes", [{"sensitive": False}, {"extractable": True}])
def test_a_key_that_can_be_read_out_is_refused(token: Any, attributes: dict[str, bool]) -> None:
    make(session_on(token), "loose", **attributes)
    with pytest.raises(TokenKeyExposedError) as caught:
        find_account_key(token.uri("object=loose"))
    assert caught.value.code == "token_key_exposed"


def test_a_key_of_another_kind_is_refused(token: Any) -> None:
    domain = session_on(token).create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
    )
    domain.generate_keypair(store=True, id=b"p", label="p256")
    with pytest.raises(TokenUnsuitedError):
        find_account_key(token.uri("object=p256"))


def test_two_keys_of_one_label_are_refused(token: Any) -> None:
    session = session_on(token)
    make(session, "twice")
    make(session, "twice")
    with pytest.raises(TokenUnsuitedError):
        find_account_key(token.uri("object=twice"))


def test_a_key_without_its_public_half_is_refused(token: Any) -> None:
    session = session_on(token)
    make(session, "half")
    (public,) = session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
    public.destroy()
    with pytest.raises(TokenObjectMissingError):
        find_account_key(token.uri("object=half"))


def test_a_token_pulled_out_while_it_signs_is_refused(token: Any) -> None:
    signer = generate_account_key(token.uri())
    token.unplug()
    with pytest.raises(TokenUnpluggedError) as caught:
        signer.sign(b"message")
    assert caught.value.code == "token_unplugged"
    token.plug_in()
    pkcs11.lib(str(token.module)).reinitialize()
    verify_signature(signer.public_key, b"message", signer.sign(b"message"))


def test_many_threads_may_sign_with_one_key(token: Any) -> None:
    signer: Pkcs11Signer = generate_account_key(token.uri())
    messages = [bytes([number]) * 40 for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(signer.sign, messages))
    for message, signature in zip(messages, signatures, strict=True):
        verify_signature(signer.public_key, message, signature)


def test_a_signer_shows_only_its_public_key(token: Any) -> None:
    signer = generate_account_key(token.uri())
    assert repr(signer) == f"Pkcs11Signer({signer.public_key})"
