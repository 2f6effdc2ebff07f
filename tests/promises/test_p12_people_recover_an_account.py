"""P12 and P1: people who were chosen recover an account whose words are lost; threshold accounts are signed together.

Each person has a machine of its own; nothing travels but the files that the commands write.
"""

import re
from pathlib import Path

import pytest
from tests.processes import Merod, Ran, initialise

from meroid.account.seed import Seed


class Person:
    """Somebody at a node that doesn't run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.node = Merod(name, folder / name)

    def account(self, *arguments: str, typed: str = "", ends_with: int | None = 0) -> Ran:
        return self.node.merod("account", *arguments, typed=typed, ends_with=ends_with)

    @property
    def account_id(self) -> str:
        found = re.search(r"account (\S+):", self.account("log").out)
        assert found is not None
        return found[1]

    def cosigner(self, account_id: str, number: int = 0) -> tuple[str, str, str]:
        """Key, its digest, and the digest of the one after it."""
        said = self.account("cosigner", account_id, "--number", str(number)).out
        key, now, following = (line.rpartition(": ")[2] for line in said.splitlines())
        return key, now, following

    def sign(self, draft: Path, *, ends_with: int = 0) -> Path:
        signed = draft.with_name(f"{draft.name}-{self.name}")
        self.account("sign", str(draft), "--out", str(signed), "--yes", ends_with=ends_with)
        return signed


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Person]:
    folder = tmp_path_factory.mktemp("people")
    people = [Person(name, folder) for name in ("anna", "bert", "cleo", "dora")]
    initialise(*(person.node for person in people))
    return people


@pytest.fixture(scope="module")
def circle(people: list[Person]) -> tuple[str, Path]:
    """Anna's account can be recovered by any two of her three friends; its id, and a copy of its key log."""
    anna, *friends = people
    account_id = anna.account_id
    members = [f"{each.name}={each.cosigner(account_id)[0]}" for each in friends]
    flags = [flag for member in members for flag in ("--member", member)]
    said = anna.account("recovery", *flags, "--threshold", "2", "--yes").out
    assert "any 2 of these recover the account" in said
    copy = anna.folder / "log"
    anna.account("log", "--out", str(copy))
    return account_id, copy


@pytest.fixture
def begun(circle: tuple[str, Path], people: list[Person], tmp_path: Path) -> tuple[Person, str, Path]:
    """A new machine of Anna's, her new words, and the draft that the friends are to sign."""
    words = Seed.generate().words().reveal().decode()
    new, draft = Person("new", tmp_path), tmp_path / "draft"
    new.account("recover", "--log", str(circle[1]), "--out", str(draft), "--words-file", "-", typed=words)
    return new, words, draft


def test_two_of_three_friends_hand_the_account_to_new_words(
    circle: tuple[str, Path], people: list[Person], begun: tuple[Person, str, Path]
) -> None:
    new, words, draft = begun
    signed = [str(friend.sign(draft)) for friend in people[2:]]

    new.account("recover", "--finish", *signed, "--yes", "--words-file", "-", typed=words)

    assert new.account_id == circle[0]
    assert "key generation 2" in new.account("log").out


def test_one_friend_alone_recovers_nothing(people: list[Person], begun: tuple[Person, str, Path]) -> None:
    new, words, draft = begun
    signed = people[1].sign(draft)

    ran = new.account("recover", "--finish", str(signed), "--yes", "--words-file", "-", typed=words, ends_with=1)

    assert "key_log_too_few_signatures" in ran.err
    assert not (new.node.home / "new").exists()


def test_signed_twice_by_one_friend_counts_once(people: list[Person], begun: tuple[Person, str, Path]) -> None:
    new, words, draft = begun
    signed = str(people[1].sign(draft))

    ran = new.account("recover", "--finish", signed, signed, "--yes", "--words-file", "-", typed=words, ends_with=1)

    assert "key_log_too_few_signatures" in ran.err


def test_other_words_than_those_of_the_draft_are_refused(people: list[Person], begun: tuple[Person, str, Path]) -> None:
    new, _, draft = begun
    signed = [str(friend.sign(draft)) for friend in people[2:]]
    other = Seed.generate().words().reveal().decode()

    ran = new.account("recover", "--finish", *signed, "--yes", "--words-file", "-", typed=other, ends_with=1)

    assert "seed_not_of_account" in ran.err
    assert not (new.node.home / "new").exists()


def test_a_stranger_has_no_say(begun: tuple[Person, str, Path], tmp_path: Path) -> None:
    stranger = Person("stranger", tmp_path)
    initialise(stranger.node)

    ran = stranger.account("sign", str(begun[2]), "--out", str(tmp_path / "x"), "--yes", ends_with=1)

    assert "nothing_to_sign" in ran.err


def test_who_signs_is_told_what_it_does_and_asked(people: list[Person], begun: tuple[Person, str, Path]) -> None:
    ran = people[1].account("sign", str(begun[2]), "--out", str(begun[2]) + ".no", ends_with=1)

    assert "the recovery set hands the account to new keys" in ran.out
    assert "not_confirmed" in ran.err


def test_a_draft_that_was_cut_is_refused(people: list[Person], begun: tuple[Person, str, Path]) -> None:
    draft = begun[2]
    cut = draft.with_suffix(".cut")
    cut.write_text("\n".join(draft.read_text().splitlines()[:-2]))

    ran = people[1].account("sign", str(cut), "--out", str(draft) + ".no", "--yes", ends_with=1)

    assert "bad_armour" in ran.err


def test_an_account_without_a_recovery_set_cannot_be_recovered(people: list[Person], tmp_path: Path) -> None:
    people[3].account("log", "--out", str(tmp_path / "log"))
    new = Person("new", tmp_path)
    words = Seed.generate().words().reveal().decode()

    log, draft = str(tmp_path / "log"), str(tmp_path / "draft")
    ran = new.account("recover", "--log", log, "--out", draft, "--words-file", "-", typed=words, ends_with=1)

    assert "key_log_no_recovery_set" in ran.err
    assert not (tmp_path / "draft").exists()


def test_a_threshold_account_changes_only_with_k_of_n_signatures(tmp_path: Path) -> None:
    owner, *others = (Person(name, tmp_path) for name in ("owner", "second", "third"))
    initialise(owner.node, *(each.node for each in others))
    account_id = owner.account_id
    first = [each.cosigner(account_id) for each in others]

    # The owner commits to the others' keys, and lets them take over together with the next of its own.
    committed = [flag for _, digest, _ in first for flag in ("--next", digest)]
    owner.account("draft", "--rotate", *committed, "--next-threshold", "2", "--out", str(tmp_path / "one"))
    owner.account("assemble", str(tmp_path / "one"))
    keys = [flag for key, _, _ in first for flag in ("--key", key)]
    following = [flag for _, _, digest in first for flag in ("--next", digest)]
    two = tmp_path / "two"
    owner.account("draft", *keys, "--threshold", "2", *following, "--next-threshold", "2", "--out", str(two))
    alone = owner.account("assemble", str(two), ends_with=1)
    signed = others[0].sign(two)
    together = owner.account("assemble", str(two), str(signed)).out

    assert "key_log_too_few_signatures" in alone.err
    assert "key generation 2" in together
    refused = owner.account("recovery", "--member", f"x={first[0][0]}", "--threshold", "1", "--yes", ends_with=1)
    assert "key_log" in refused.err
