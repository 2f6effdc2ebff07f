"""Shares of a seed: m of n of them restore it, fewer tell nothing (SLIP-39, one group, no passphrase).

What is shared is the entropy of the phrase. A share has 33 words (20 for a phrase of 12). The
library behind it is not constant-time, so shares are made and joined on the owner's machine only.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from meroid import limits
from meroid.account.seed import Seed
from meroid.errors import InvalidInputError
from meroid.keys.signer import Secret

if TYPE_CHECKING:
    from shamir_mnemonic.share import Share

_WORDS: Final = (33, 20)
_MOST_ROUNDS: Final = 4  # as a power of two times 10,000; a share could ask for hours


class BadShareSchemeError(InvalidInputError):
    """So many shares, or such a threshold, can't be made."""

    code = "bad_share_scheme"
    next_step = f"ask for 2 to {limits.SHARES.value} shares, and for 2 or more of them to restore"


class TooFewSharesError(InvalidInputError):
    """Fewer different shares than restore the seed."""

    code = "too_few_shares"
    next_step = "add further shares of the same set"


class BadShareFormError(InvalidInputError):
    """The text isn't lower-case words with one space between them."""

    code = "bad_share_form"
    next_step = "write the words in lower case with one space between them"


class BadShareLengthError(InvalidInputError):
    """A share has neither 33 nor 20 words."""

    code = "bad_share_length"
    next_step = "give all words of the share, in their order; a sheet that was cut has fewer"


class BadShareWordError(InvalidInputError):
    """A word isn't in the list of SLIP-39."""

    code = "bad_share_word"
    next_step = "compare that word with the sheet; the first four letters of a word are enough to tell it"


class BadShareChecksumError(InvalidInputError):
    """All words are known, but together they are no share: one is another word, or two are swapped."""

    code = "bad_share_checksum"
    next_step = "compare every word of the share and their order with the sheet"


class DuplicateShareError(InvalidInputError):
    """One share was given twice."""

    code = "duplicate_share"
    next_step = "give different shares of the set"


class MixedSharesError(InvalidInputError):
    """The shares don't come from one splitting of one seed."""

    code = "mixed_shares"
    next_step = "use shares of one set only; sheets of one set carry the same first words"


class UnsupportedShareError(InvalidInputError):
    """A share of a scheme with several groups, or of very many rounds; meroid makes neither."""

    code = "share_scheme_unsupported"
    next_step = "join these shares with the program that made them, and give the phrase"


def split_seed(seed: Seed, *, threshold: int, count: int) -> tuple[Secret, ...]:
    """Split a seed into shares, each ASCII words with single spaces; every call makes another set.

    Raises:
        BadShareSchemeError: not 2 <= threshold <= count <= 16.
    """
    from shamir_mnemonic import generate_mnemonics  # noqa: PLC0415 - needed rarely, and it reads a file

    if not 2 <= threshold <= count <= limits.SHARES.value:
        raise BadShareSchemeError(f"{threshold} of {count} shares can't be made")
    groups = generate_mnemonics(1, [(threshold, count)], seed.entropy.reveal())
    return tuple(Secret(text.encode("ascii")) for text in groups[0])


def join_shares(texts: Sequence[str]) -> Seed:
    """Restore a seed from shares of one set, as many as it needs or more.

    No error names a word: shares and words are named by their number, from 1.

    Raises:
        BadShareFormError, BadShareLengthError, BadShareWordError, BadShareChecksumError: one share
            can't be read.
        UnsupportedShareError: it is of another scheme.
        DuplicateShareError, MixedSharesError, TooFewSharesError: they don't restore a seed together.
    """
    from shamir_mnemonic import MnemonicError  # noqa: PLC0415
    from shamir_mnemonic.shamir import ShareGroup, recover_ems  # noqa: PLC0415

    if not texts:
        raise TooFewSharesError("no share was given")
    if len(texts) > limits.SHARES.value:
        raise DuplicateShareError(f"a set has at most {limits.SHARES.value} shares")
    shares = [_parse(text, number) for number, text in enumerate(texts, start=1)]
    _check_set(shares)
    group = ShareGroup()
    for share in shares[: shares[0].member_threshold]:
        group.add(share)
    try:
        raw = recover_ems({shares[0].group_index: group}).decrypt(b"")
    except MnemonicError:
        raise MixedSharesError("the shares don't restore what was split") from None
    return Seed(Secret(raw))


def _check_set(shares: Sequence["Share"]) -> None:
    first = shares[0]
    for number, share in enumerate(shares[1:], start=2):
        if share.group_parameters() != first.group_parameters() or len(share.value) != len(first.value):
            raise MixedSharesError(f"share {number} is of another set than the first one")
    places: dict[int, int] = {}
    for number, share in enumerate(shares, start=1):
        before = places.setdefault(share.index, number)
        if before != number and shares[before - 1] == share:
            raise DuplicateShareError(f"shares {before} and {number} are the same")
        if before != number:
            raise MixedSharesError(f"shares {before} and {number} are of two sets")
    if len(shares) < first.member_threshold:
        raise TooFewSharesError(f"{first.member_threshold} shares restore this seed, and {len(shares)} were given")


def _parse(text: str, number: int) -> "Share":
    from shamir_mnemonic import MnemonicError  # noqa: PLC0415
    from shamir_mnemonic.share import Share  # noqa: PLC0415
    from shamir_mnemonic.wordlist import WORD_INDEX_MAP  # noqa: PLC0415

    if len(text) > limits.SHARE_BYTES.value:
        raise BadShareLengthError(f"share {number} is much longer than a share")
    text = text.strip()
    words = text.split(" ")
    if text != text.lower() or words != text.split():
        raise BadShareFormError(f"share {number} isn't lower-case words with single spaces")
    if len(words) not in _WORDS:
        raise BadShareLengthError(f"a share has 33 words or 20, and share {number} has {len(text.split())}")
    for place, word in enumerate(words, start=1):
        if word not in WORD_INDEX_MAP:
            raise BadShareWordError(f"word {place} of share {number} is not in the list of SLIP-39")
    try:
        share = Share.from_mnemonic(text)
    except MnemonicError:
        raise BadShareChecksumError(f"the words of share {number} don't belong together in this order") from None
    if share.group_count != 1 or share.iteration_exponent > _MOST_ROUNDS:
        raise UnsupportedShareError(f"share {number} is of a scheme with several groups, or with very many rounds")
    return share
