"""Recovery phrases: entropy to English words and back, and the seed that they stretch to (BIP-39)."""

import functools
import hashlib
import secrets
import unicodedata
from collections.abc import Mapping
from typing import Final

from meroid import limits
from meroid.errors import InvalidInputError
from meroid.keys.signer import Secret

ENTROPY_BYTES: Final = {12: 16, 24: 32}
"""Entropy of the phrases that are accepted, by their number of words."""

_WORD_BITS: Final = 11
_ROUNDS: Final = 2048
_SALT: Final = b"mnemonic"  # an empty passphrase adds nothing to it


class BadPhraseFormError(InvalidInputError):
    """The text isn't lower-case words with one space between them."""

    code = "bad_phrase_form"
    next_step = "write the words in lower case with one space between them"


class BadPhraseLengthError(InvalidInputError):
    """The phrase has neither 24 nor 12 words."""

    code = "bad_phrase_length"
    next_step = "give all 24 words (or the 12 of a NEAR wallet), each once, in their order"


class BadPhraseWordError(InvalidInputError):
    """A word isn't in the English list of BIP-39."""

    code = "bad_phrase_word"
    next_step = "compare that word with the sheet; the first four letters of a word are enough to tell it"


class BadPhraseChecksumError(InvalidInputError):
    """All words are known, but together they are no phrase: one is another word, or two are swapped."""

    code = "bad_phrase_checksum"
    next_step = "compare every word and their order with the sheet"


class PhraseNotConfirmedError(InvalidInputError):
    """The words that were asked for aren't those of the phrase."""

    code = "phrase_not_confirmed"
    next_step = "run it again, and compare what you wrote down with the words, one by one"


def phrase_of(entropy: Secret) -> Secret:
    """The words of 16 or 32 bytes of entropy, as ASCII text with single spaces."""
    raw = entropy.reveal()
    checksum_bits = len(raw) // 4
    number = int.from_bytes(raw, "big") << checksum_bits | _checksum(raw)
    count = (8 * len(raw) + checksum_bits) // _WORD_BITS
    shifts = range(_WORD_BITS * (count - 1), -1, -_WORD_BITS)
    return Secret(" ".join(_words()[number >> shift & 2**_WORD_BITS - 1] for shift in shifts).encode("ascii"))


def entropy_of(text: str) -> Secret:
    """The entropy of a phrase; space around the whole is ignored.

    No error names a word, since the phrase is a secret; a wrong one is named by its number.

    Raises:
        BadPhraseFormError: upper case, double spaces, tabs or line breaks between words.
        BadPhraseLengthError: neither 24 nor 12 words.
        BadPhraseWordError: a word isn't in the English list.
        BadPhraseChecksumError: the words don't belong together.
    """
    if len(text) > limits.PHRASE_BYTES.value:
        raise BadPhraseLengthError("the text is much longer than a phrase")
    text = unicodedata.normalize("NFKD", text).strip()
    words = text.split(" ")
    if text != text.lower() or words != text.split():
        raise BadPhraseFormError("a phrase is written in lower case with single spaces")
    if len(words) not in ENTROPY_BYTES:
        raise BadPhraseLengthError(f"a phrase has 24 words or 12, not {len(text.split())}")
    raw = _decode(words)
    return Secret(raw)


def stretch(phrase: Secret) -> Secret:
    """The BIP-39 seed of a phrase, with an empty passphrase: 64 bytes."""
    return Secret(hashlib.pbkdf2_hmac("sha512", phrase.reveal(), _SALT, _ROUNDS))


def places_to_confirm(phrase: Secret, count: int = 3, *, behind: int = 0) -> tuple[int, ...]:
    """Numbers of words to ask for, from 1 and in order, so that who wrote the phrase down shows it.

    `behind` leaves out the first words: those of a share are the same in all shares of its set.
    """
    places = range(1 + behind, len(phrase.reveal().split()) + 1)
    return tuple(sorted(secrets.SystemRandom().sample(places, count)))


def confirm_phrase(phrase: Secret, answers: Mapping[int, str]) -> None:
    """Check the words that were asked for, by their number; case and space around them don't matter.

    Raises:
        PhraseNotConfirmedError: nothing was answered, or a word is another one; only its number is named.
    """
    words = phrase.reveal().decode("ascii").split()
    if not answers:
        raise PhraseNotConfirmedError("no word was given")
    for place, answer in sorted(answers.items()):
        if not 1 <= place <= len(words) or answer.strip().lower() != words[place - 1]:
            raise PhraseNotConfirmedError(f"word {place} is another one in the phrase")


def _decode(words: list[str]) -> bytes:
    numbers = _numbers()
    joined = 0
    for place, word in enumerate(words, start=1):
        number = numbers.get(word)
        if number is None:
            raise BadPhraseWordError(f"word {place} is not in the English list of BIP-39")
        joined = joined << _WORD_BITS | number
    size = ENTROPY_BYTES[len(words)]
    checksum_bits = size // 4
    raw = (joined >> checksum_bits).to_bytes(size, "big")
    if joined & (1 << checksum_bits) - 1 != _checksum(raw):
        raise BadPhraseChecksumError("the words are known, but they don't belong together in this order")
    return raw


def _checksum(raw: bytes) -> int:
    """The first bit of the hash for every four bytes of entropy."""
    return hashlib.sha256(raw).digest()[0] >> 8 - len(raw) // 4


@functools.cache
def _words() -> tuple[str, ...]:
    # Imported here: it costs 20 ms, which a command that needs no phrase shouldn't pay.
    from mnemonic import Mnemonic  # noqa: PLC0415

    return tuple(Mnemonic("english").wordlist)


@functools.cache
def _numbers() -> dict[str, int]:
    return {word: number for number, word in enumerate(_words())}
