"""Recovery phrases against published vectors, and what is refused."""

import json
import traceback
import unicodedata
from pathlib import Path
from typing import Any

import base58
import pytest
from hypothesis import given, strategies as st
from mnemonic import Mnemonic

from meroid.account.phrase import (
    BadPhraseChecksumError,
    BadPhraseFormError,
    BadPhraseLengthError,
    BadPhraseWordError,
    PhraseNotConfirmedError,
    confirm_phrase,
    entropy_of,
    phrase_of,
    places_to_confirm,
    stretch,
)
from meroid.account.seed import Seed
from meroid.errors import MeroidError
from meroid.keys.derivation import ExtendedKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

VECTORS = Path(__file__).parents[2] / "vectors"
NEAR: list[dict[str, Any]] = json.loads((VECTORS / "seed-phrase-vectors.json").read_text())["vectors"]
ORACLE = Mnemonic("english")
PHRASE = ORACLE.to_mnemonic(bytes(range(32)))
# BIP-39, the English vectors of the reference implementation: entropy, words.
BIP_39 = [
    ("00" * 16, "abandon " * 11 + "about"),
    ("7f" * 16, "legal winner thank year wave sausage worth useful legal winner thank yellow"),
    ("80" * 16, "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"),
    ("ff" * 16, "zoo " * 11 + "wrong"),
    ("00" * 32, "abandon " * 23 + "art"),
    (
        "7f" * 32,
        "legal winner thank year wave sausage worth useful " * 2 + "legal winner thank year wave sausage worth title",
    ),
    ("ff" * 32, "zoo " * 23 + "vote"),
    (
        "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
        "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis"
        " maple dilemma loan word shrug inflict delay length",
    ),
]


@pytest.mark.parametrize(("entropy", "words"), BIP_39)
def test_the_published_vectors_hold_both_ways(entropy: str, words: str) -> None:
    assert phrase_of(Secret(bytes.fromhex(entropy))).reveal().decode() == words
    assert entropy_of(words).reveal().hex() == entropy


@pytest.mark.parametrize("vector", NEAR, ids=lambda vector: f"{vector['entropyHex'][:8]} {vector['derivationPath']}")
def test_the_phrases_of_near_wallets_give_their_keys(vector: dict[str, Any]) -> None:
    entropy = entropy_of(vector["seedPhrase"])
    assert entropy.reveal().hex() == vector["entropyHex"]
    seed = stretch(phrase_of(entropy))
    assert seed.reveal().hex() == vector["bip39SeedHex"]
    path = tuple(int(step.rstrip("'")) for step in vector["derivationPath"].split("/")[1:])
    node = ExtendedKey.master(seed).derive(path)
    assert node.secret.reveal().hex() == vector["slip10KeyHex"]
    assert node.chain_code.reveal().hex() == vector["slip10ChainCodeHex"]
    signer = SoftwareSigner(node.secret)
    assert f"ed25519:{signer.public_key}" == vector["publicKey"]
    pair = node.secret.reveal() + signer.public_key
    assert f"ed25519:{base58.b58encode(pair).decode()}" == vector["secretKey"]
    assert signer.public_key.hex() == vector["implicitAccountId"]


def test_a_phrase_of_a_near_wallet_is_an_account() -> None:
    for vector in NEAR:
        if vector["derivationPath"] == "m/44'/397'/0'":
            key = Seed.from_words(vector["seedPhrase"]).account_key(0).public_key
            assert f"ed25519:{key}" == vector["publicKey"]


@given(st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16))
def test_another_implementation_agrees_on_every_phrase(entropy: bytes) -> None:
    words = phrase_of(Secret(entropy)).reveal().decode()
    assert words == ORACLE.to_mnemonic(entropy)
    assert entropy_of(words).reveal() == entropy


@given(st.lists(st.sampled_from(ORACLE.wordlist), min_size=24, max_size=24))
def test_another_implementation_agrees_on_every_checksum(words: list[str]) -> None:
    text = " ".join(words)
    try:
        entropy = entropy_of(text).reveal()
    except BadPhraseChecksumError:
        assert not ORACLE.check(text)
    else:
        assert ORACLE.to_mnemonic(entropy) == text


def test_compatibility_forms_of_letters_are_the_same_phrase() -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) if letter != " " else "\u3000" for letter in PHRASE)
    assert unicodedata.normalize("NFKD", wide) == PHRASE
    assert entropy_of(wide).reveal() == bytes(range(32))
    assert entropy_of(f"  {PHRASE}\n").reveal() == bytes(range(32))


def swapped(words: list[str], first: int, second: int) -> str:
    words = [*words]
    words[first], words[second] = words[second], words[first]
    return " ".join(words)


W = PHRASE.split()


@pytest.mark.parametrize(
    ("text", "error", "code"),
    [
        (PHRASE.upper(), BadPhraseFormError, "bad_phrase_form"),
        (PHRASE.capitalize(), BadPhraseFormError, "bad_phrase_form"),
        (PHRASE.replace(" ", "  ", 1), BadPhraseFormError, "bad_phrase_form"),
        (PHRASE.replace(" ", "\n", 1), BadPhraseFormError, "bad_phrase_form"),
        (PHRASE.replace(" ", "\t", 1), BadPhraseFormError, "bad_phrase_form"),
        ("", BadPhraseFormError, "bad_phrase_form"),
        (" ".join(W[:23]), BadPhraseLengthError, "bad_phrase_length"),
        (" ".join([*W, "abandon"]), BadPhraseLengthError, "bad_phrase_length"),
        (ORACLE.to_mnemonic(bytes(20)), BadPhraseLengthError, "bad_phrase_length"),
        ("abandon " * 100_000, BadPhraseLengthError, "bad_phrase_length"),
        (" ".join([*W[:23], "xyzzy"]), BadPhraseWordError, "bad_phrase_word"),
        (" ".join([*W[:23], "éclair"]), BadPhraseWordError, "bad_phrase_word"),
        (" ".join([*W[:23], "\x00"]), BadPhraseWordError, "bad_phrase_word"),
        (swapped(W, 0, 5), BadPhraseChecksumError, "bad_phrase_checksum"),
        (" ".join([*W[:23], "zoo"]), BadPhraseChecksumError, "bad_phrase_checksum"),
    ],
)
def test_a_bad_phrase_has_its_own_code_and_no_error_names_a_word(
    text: str, error: type[MeroidError], code: str
) -> None:
    with pytest.raises(error) as caught:
        entropy_of(text)
    assert caught.value.code == code
    assert caught.value.next_step
    # Source lines stand in a traceback too, so only what the error itself prints is searched.
    said = "".join(traceback.format_exception_only(caught.value)) + caught.value.next_step
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for word in {*text.split()} - {"word", "list", "other", "first", "one", "order", "phrase"}:
        assert word not in said.split()


def test_a_wrong_word_is_named_by_its_number() -> None:
    with pytest.raises(BadPhraseWordError, match="word 3 "):
        entropy_of(" ".join([*W[:2], "xyzzy", *W[3:]]))


@given(st.binary(min_size=32, max_size=32))
def test_who_has_written_the_phrase_down_confirms_it(entropy: bytes) -> None:
    phrase = phrase_of(Secret(entropy))
    words = phrase.reveal().decode().split()
    places = places_to_confirm(phrase)
    assert len(set(places)) == 3
    assert set(places) <= set(range(1, 25))
    confirm_phrase(phrase, {place: f" {words[place - 1].upper()} " for place in places})


@pytest.mark.parametrize("answers", [{}, {1: "zoo"}, {1: "abandon", 2: ""}, {0: "abandon"}, {25: "abandon"}])
def test_a_wrong_answer_confirms_nothing_and_no_word_is_named(answers: dict[int, str]) -> None:
    phrase = phrase_of(Secret(bytes(32)))
    with pytest.raises(PhraseNotConfirmedError) as caught:
        confirm_phrase(phrase, answers)
    assert "abandon" not in caught.value.reason
