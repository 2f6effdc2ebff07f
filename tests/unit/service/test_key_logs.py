"""The key log of an account follows the records of its node, and a restored one waits for its owner's word."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.changes import DeviceClaim
from meroid.account.seed import Seed
from meroid.app import Node, initialise_node, open_vaulted
from meroid.config import Settings
from meroid.ids import AccountId
from meroid.service.backups import Kept
from meroid.service.key_logs import KeyLogUnsettledError, NoLaterEntryError, OtherKeyLogError
from meroid.service.ports.store import Transaction


def settings(folder: Path, name: str) -> Settings:
    home = folder / name
    home.mkdir(mode=0o700)
    return Settings(home=home, name=name, auth_mode="proxy", listen=(("127.0.0.1", 1),), swarm=(("127.0.0.1", 1),))


def account_of(node: Node) -> AccountId:
    owner = node.store.read(lambda tx: tx.accounts.owner())
    assert owner is not None
    return owner.account_id


def log_of(node: Node) -> VerifiedKeyLog:
    return node.key_logs.read(account_of(node))


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Node]:
    """The node on which the account was made."""
    node = initialise_node(settings(tmp_path, "first"))
    yield node
    node.close()


@pytest.fixture
def restored(first: Node, tmp_path: Path) -> Iterator[Node]:
    """A home made from the words and from the log as it was then."""
    account_id = account_of(first)
    seed = Seed.from_words(first.keys.words(account_id).reveal().decode())
    chosen = settings(tmp_path, "restored")
    node = Node(chosen, open_vaulted(chosen, make=True))
    node.backups.restore(Kept(seed=seed, key_log=tuple(first.key_logs.entries(account_id))), 5)
    node.prepare()
    yield node
    node.close()


def test_settling_again_adds_nothing(first: Node) -> None:
    before = log_of(first)

    first.store.write(lambda tx: first.key_logs.settle(tx, account_of(first)))

    assert log_of(first) == before
    assert before.state.devices == {0}


def test_what_a_transaction_takes_back_is_not_remembered(first: Node) -> None:
    before = log_of(first)

    def fails(tx: Transaction) -> None:
        first.key_logs.append_within(tx, before.account_id, DeviceClaim(device=7))
        first.key_logs.within(tx, before.account_id)
        raise RuntimeError("the store fails")

    with pytest.raises(RuntimeError, match="the store fails"):
        first.store.write(fails)

    assert log_of(first) == before
    assert first.key_logs.append(before.account_id, DeviceClaim(device=8)).state.devices == {0, 8}


def test_nothing_is_added_to_a_log_that_may_be_old(restored: Node) -> None:
    before = log_of(restored)

    with pytest.raises(KeyLogUnsettledError):
        restored.key_logs.rotate(before.account_id)
    with pytest.raises(KeyLogUnsettledError):
        restored.key_logs.append(before.account_id, DeviceClaim(device=7))

    assert log_of(restored) == before


def test_a_later_copy_takes_its_place_and_the_device_is_claimed_on_top(first: Node, restored: Node) -> None:
    account_id = account_of(first)
    first.key_logs.rotate(account_id)

    log = restored.key_logs.take_later(account_id, first.key_logs.entries(account_id))

    owner = restored.store.read(lambda tx: tx.accounts.owner())
    assert owner is not None
    assert owner.log_unsettled_at is None
    assert log.state.generation == 1
    assert owner.device in log.state.devices
    assert log.length == log_of(first).length + 1


def test_a_copy_with_nothing_new_says_nothing_about_later_entries(first: Node, restored: Node) -> None:
    account_id = account_of(first)

    with pytest.raises(NoLaterEntryError):
        restored.key_logs.take_later(account_id, first.key_logs.entries(account_id))


def test_a_copy_that_forked_or_is_of_another_account_is_refused(first: Node, restored: Node, tmp_path: Path) -> None:
    account_id, before = account_of(first), log_of(restored)
    other = initialise_node(settings(tmp_path, "other"))
    foreign = other.key_logs.entries(account_of(other))
    other.close()

    with pytest.raises(OtherKeyLogError):
        restored.key_logs.take_later(account_id, foreign)
    with pytest.raises(OtherKeyLogError):
        restored.key_logs.take_later(account_id, first.key_logs.entries(account_id)[:1])

    assert log_of(restored) == before


def test_the_owners_word_settles_it(restored: Node) -> None:
    owner = restored.store.read(lambda tx: tx.accounts.owner())
    assert owner is not None

    log = restored.key_logs.say_latest(owner.account_id)

    assert owner.device in log.state.devices
    assert restored.key_logs.rotate(owner.account_id).state.generation == 1
