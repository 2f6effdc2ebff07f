"""Shares of a seed: any m of n restore it, and each thing that is wrong has its own code."""

import itertools
import traceback

import pytest
from hypothesis import given, settings, strategies as st
from shamir_mnemonic import generate_mnemonics
from shamir_mnemonic.share import Share
from shamir_mnemonic.wordlist import WORDLIST
from tests.account_cast import code_of, seed_of

from meroid.account.key_log import account_id_of
from meroid.account.seed import Seed
from meroid.account.shares import join_shares, split_seed
from meroid.errors import MeroidError
from meroid.keys.signer import Secret

SEED = seed_of("owner")


def split(seed: Seed = SEED, threshold: int = 2, count: int = 3) -> list[str]:
    return [share.reveal().decode() for share in split_seed(seed, threshold=threshold, count=count)]


SHARES = split()


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (16, 16)])
@pytest.mark.parametrize("size", [16, 32])
def test_enough_shares_in_any_order_restore_the_account(threshold: int, count: int, size: int) -> None:
    seed = Seed(Secret(bytes(range(size))))
    shares = split(seed, threshold, count)
    assert {len(share.split()) for share in shares} == {20 if size == 16 else 33}
    for chosen in itertools.islice(itertools.combinations(shares, threshold), 3):
        restored = join_shares(chosen[::-1])
        assert restored.entropy.reveal() == seed.entropy.reveal()
        assert account_id_of(restored) == account_id_of(seed)
    assert join_shares(shares).entropy.reveal() == seed.entropy.reveal()


def test_too_few_shares_are_refused_and_told_how_many_it_takes() -> None:
    assert code_of(lambda: join_shares([])) == "too_few_shares"
    with pytest.raises(MeroidError, match="2 shares restore this seed, and 1") as caught:
        join_shares(SHARES[:1])
    assert caught.value.code == "too_few_shares"


def test_shares_of_two_sets_are_refused() -> None:
    again, other = split(), split(seed_of("other"))
    assert code_of(lambda: join_shares([SHARES[0], again[1]])) == "mixed_shares"
    assert code_of(lambda: join_shares([SHARES[0], other[1]])) == "mixed_shares"
    assert code_of(lambda: join_shares([*SHARES[:2], other[2]])) == "mixed_shares"
    short = split(Seed(Secret(bytes(16))))
    assert code_of(lambda: join_shares([SHARES[0], short[1]])) == "mixed_shares"


def test_shares_of_two_sets_that_look_like_one_are_refused() -> None:
    ours, theirs = (Share.from_mnemonic(share) for share in (SHARES[1], split(seed_of("other"))[1]))
    disguised = Share(*(getattr(ours, name) for name in ours.__dataclass_fields__ if name != "value"), theirs.value)
    assert code_of(lambda: join_shares([SHARES[0], disguised.mnemonic()])) == "mixed_shares"
    assert code_of(lambda: join_shares([SHARES[1], disguised.mnemonic()])) == "mixed_shares"


def test_a_share_given_twice_is_refused() -> None:
    assert code_of(lambda: join_shares([SHARES[0], SHARES[0]])) == "duplicate_share"
    assert code_of(lambda: join_shares([SHARES[0]] * 17)) == "duplicate_share"


def test_a_wrong_word_a_wrong_checksum_and_swapped_words_are_told_apart() -> None:
    words = SHARES[0].split()
    unknown = " ".join([*words[:4], "zoology", *words[5:]])
    other = " ".join([*words[:4], WORDLIST[(WORDLIST.index(words[4]) + 1) % 1024], *words[5:]])
    place = next(number for number in range(32) if words[number] != words[number + 1])
    swapped = [*words[:place], words[place + 1], words[place], *words[place + 2 :]]
    assert code_of(lambda: join_shares([SHARES[1], unknown])) == "bad_share_word"
    assert code_of(lambda: join_shares([SHARES[1], other])) == "bad_share_checksum"
    assert code_of(lambda: join_shares([SHARES[1], " ".join(swapped)])) == "bad_share_checksum"


@pytest.mark.parametrize("cut", [1, 19, 20, 32])
def test_a_share_of_another_length_is_refused(cut: int) -> None:
    share = " ".join(SHARES[0].split()[:cut])
    expected = "bad_share_checksum" if cut == 20 else "bad_share_length"  # 20 words could be a share of 12
    assert code_of(lambda: join_shares([share, SHARES[1]])) == expected
    assert code_of(lambda: join_shares([f"{SHARES[0]} academic", SHARES[1]])) == "bad_share_length"
    assert code_of(lambda: join_shares([SHARES[0] * 20, SHARES[1]])) == "bad_share_length"


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda text: text.replace(" ", "  ", 1), lambda text: text.replace(" ", "\n", 1)]
)
def test_upper_case_double_spaces_and_line_breaks_are_refused(spoil: object) -> None:
    assert callable(spoil)
    assert code_of(lambda: join_shares([spoil(SHARES[0]), SHARES[1]])) == "bad_share_form"


def test_space_around_a_share_is_ignored() -> None:
    assert join_shares([f" {SHARES[0]}\n", SHARES[1]]).entropy.reveal() == SEED.entropy.reveal()


def test_schemes_that_meroid_does_not_make_are_refused() -> None:
    grouped = generate_mnemonics(2, [(1, 1), (1, 1)], SEED.entropy.reveal())
    assert code_of(lambda: join_shares([group[0] for group in grouped])) == "share_scheme_unsupported"
    one = Share.from_mnemonic(SHARES[0])
    slow = Share(
        one.identifier, one.extendable, 15, *(getattr(one, name) for name in list(one.__dataclass_fields__)[3:])
    )
    assert code_of(lambda: join_shares([slow.mnemonic(), SHARES[1]])) == "share_scheme_unsupported"


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 3), (0, 2), (3, 2), (2, 17)])
def test_a_scheme_that_cannot_be_is_refused(threshold: int, count: int) -> None:
    assert code_of(lambda: split(threshold=threshold, count=count)) == "bad_share_scheme"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=4))
def test_any_texts_are_refused_as_input(texts: list[str]) -> None:
    with pytest.raises(MeroidError):
        join_shares(texts)


def said_about(shares: list[str]) -> list[str]:
    """Everything that refusals say to a person, for shares that are wrong in different ways."""
    broken = shares[0].split()
    broken[7] = WORDLIST[(WORDLIST.index(broken[7]) + 1) % 1024]
    unknown = " ".join(["zoology", *shares[0].split()[1:]])
    said = []
    for texts in ([" ".join(broken), shares[1]], shares[:1], [shares[0], split()[1]], [unknown], [shares[0]] * 2):
        with pytest.raises(MeroidError) as caught:
            join_shares(texts)
        said.append("".join(traceback.format_exception_only(caught.value)) + caught.value.next_step)
    return said


def test_no_error_and_no_repr_shows_a_word() -> None:
    assert said_about(split()) == said_about(split())  # of other words, and yet the same
    assert not set(SHARES[0].split()) & set(repr(split_seed(SEED, threshold=2, count=2)).split())
