"""A home that was lost or copied comes back with its memberships, and never forks a chain."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import Machine, World, eventually

from meroid.access.principal import Principal
from meroid.account.backup import BackupContents
from meroid.account.seed import Seed
from meroid.app import Node, open_vaulted
from meroid.config import Settings
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.service.backups import Kept
from meroid.service.keyring import RestoredUnsyncedError
from meroid.service.returning import NothingToResumeError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


class Shared:
    """A context of two: the founder, and a laptop that is going to be lost."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.founder, self.laptop = world.machine("founder"), world.machine("laptop")
        self.context_id, self.founder_key = self.founder.create(self.founder.install())
        self.laptop_key = self.founder.invite_and_join(self.laptop, self.context_id, self.founder_key)
        eventually(lambda: bool(self.laptop.node.replicas.get(self.context_id).applied))
        self.write(self.laptop, self.laptop_key, "before")
        self.agree()

    def write(self, machine: Machine, key: PublicKey, value: str) -> None:
        machine.call(self.context_id, key, "set", key="k", value=value)

    def agree(self) -> None:
        eventually(lambda: self.founder.root(self.context_id) == self.world.nodes[-1].root(self.context_id))

    def backup(self) -> tuple[Seed, BackupContents]:
        """What the laptop's owner keeps; the laptop is gone afterwards."""
        account = self.laptop.me.account_id
        contents = self.laptop.node.backups.contents(account, self.laptop.at)
        seed = Seed.from_words(self.laptop.node.keys.words(account).reveal().decode())
        return seed, contents

    def lose_laptop(self) -> None:
        self.laptop.close()
        self.world.nodes.remove(self.laptop)


@pytest.fixture
def shared(world: World) -> Shared:
    return Shared(world)


class Restored(Machine):
    """A machine whose account was made from a backup; it doesn't look for its contexts by itself."""

    def __init__(
        self, world: World, name: str, seed: Seed, contents: BackupContents | None, addresses: list[str]
    ) -> None:
        settings = Settings(
            home=world.folder / name,
            name=name,
            auth_mode="proxy",
            listen=(("127.0.0.1", 0),),
            swarm=(("127.0.0.1", 0),),
        )
        settings.home.mkdir(mode=0o700)
        node = Node(settings, open_vaulted(settings, make=True))
        node.backups.restore(Kept(seed=seed, contents=contents, addresses=tuple(addresses)), node.clock.now_ms())
        node.close()
        super().__init__(name, world.folder, world.network.transport(name))
        world.nodes.append(self)
        self.running.replication.start()


def keys_of(machine: Machine, context_id: ContextId) -> list[PublicKey]:
    """The machine's own members of a context."""
    return list(machine.running.contexts.owned(machine.me, context_id))


def test_a_backup_brings_account_keys_and_memberships_back(shared: Shared) -> None:
    seed, contents = shared.backup()
    account = shared.laptop.me.account_id
    shared.lose_laptop()

    again = Restored(shared.world, "again", seed, contents, [])
    again.running.returning.look(contents.contexts[0].endpoints)

    assert again.me.account_id == account
    [key] = keys_of(again, shared.context_id)
    assert shared.founder.node.replicas.get(shared.context_id).ledger.state.key_now(shared.laptop_key) == key
    assert again.call(shared.context_id, key, "get", key="k") == "before"
    shared.write(again, key, "after")
    shared.agree()


def test_the_words_and_one_members_address_bring_the_memberships_back(shared: Shared) -> None:
    seed, _ = shared.backup()
    shared.lose_laptop()

    again = Restored(shared.world, "again", seed, None, [])
    [returned] = again.running.returning.look(shared.founder.running.transport.endpoints())

    assert returned.context_id == shared.context_id
    assert returned.key is not None
    shared.write(again, returned.key, "after")
    shared.agree()


@pytest.mark.parametrize("generated", ["before the backup", "after the backup"])
def test_a_context_that_was_joined_after_the_backup_comes_back(shared: Shared, generated: str) -> None:
    founder, laptop = shared.founder, shared.laptop
    context_id, founder_key = founder.create(founder.install())
    key = laptop.identity() if generated == "before the backup" else None
    seed, contents = shared.backup()
    key = key or laptop.identity()
    ticket = founder.running.joining.invite(founder.me, context_id, founder_key, key, founder.at)
    laptop.running.joining.join(laptop.me, ticket, key, salt=None, at=laptop.at)
    shared.lose_laptop()

    again = Restored(shared.world, "again", seed, contents, [])
    found = again.running.returning.look(founder.running.transport.endpoints())

    assert {each.context_id for each in found if each.key is not None} == {context_id, shared.context_id}


def test_a_key_that_was_rotated_since_the_backup_is_found_by_the_one_before(shared: Shared) -> None:
    seed, contents = shared.backup()
    rotated = shared.laptop.running.rotation.rotate(
        shared.laptop.me, shared.context_id, shared.laptop_key, shared.laptop.at
    )
    shared.agree()
    eventually(lambda: rotated in shared.founder.node.replicas.get(shared.context_id).ledger.state.members)
    shared.lose_laptop()

    again = Restored(shared.world, "again", seed, contents, [])
    [returned] = again.running.returning.look(shared.founder.running.transport.endpoints())

    assert returned.key not in {None, rotated, shared.laptop_key}
    shared.write(again, returned.key, "after")
    shared.agree()


def test_a_restored_key_signs_nothing_before_a_member_was_heard(shared: Shared, tmp_path: Path) -> None:
    copied = copy_home(shared)

    with pytest.raises(RestoredUnsyncedError) as refused:
        shared.write(copied, shared.laptop_key, "too early")

    assert refused.value.code == "restored_unsynced"
    assert copied.call(shared.context_id, shared.laptop_key, "get", key="k") == "before"


def copy_home(shared: Shared) -> Machine:
    """The laptop's home, copied to another place where it runs on; no member is in reach."""
    shared.laptop.close()
    shared.world.nodes.remove(shared.laptop)
    folder = shared.world.folder / "elsewhere"
    shutil.copytree(shared.world.folder / "laptop", folder / "laptop")
    shared.world.network.partition(["founder"], ["laptop"])
    copied = Machine("laptop", folder, shared.world.network.transport("laptop"))
    shared.world.nodes.append(copied)
    copied.running.start()
    return copied


def test_a_copied_home_goes_on_with_the_next_key_once_a_member_is_reached(shared: Shared) -> None:
    copied = copy_home(shared)
    before = shared.founder.node.replicas.get(shared.context_id).ledger.last_of(shared.laptop_key)
    assert before is not None

    shared.world.network.heal()

    eventually(lambda: keys_of(copied, shared.context_id) not in ([], [shared.laptop_key]))
    [key] = keys_of(copied, shared.context_id)
    shared.write(copied, key, "after")
    shared.agree()
    graph = shared.founder.node.replicas.get(shared.context_id).ledger.graph
    assert [node.operation.seq for node in graph.tips_of(shared.laptop_key)] == [before.operation.seq + 3]


def test_a_copied_home_is_another_device_and_adds_nothing_to_its_log(shared: Shared) -> None:
    log = shared.laptop.node.key_logs.read(shared.laptop.me.account_id)

    copied = copy_home(shared)

    account = copied.node.store.read(lambda tx: tx.accounts.owner())
    assert account is not None
    assert account.device not in log.state.devices
    assert account.log_unsettled_at is not None
    assert copied.node.key_logs.read(copied.me.account_id) == log


def test_a_home_that_stays_where_it_is_goes_on_as_before(shared: Shared) -> None:
    again = shared.world.restart(shared.laptop)

    shared.write(again, shared.laptop_key, "after")
    shared.agree()


def test_an_older_database_in_the_place_of_the_one_that_counted_on_is_noticed(shared: Shared) -> None:
    shared.laptop.close()
    shared.world.nodes.remove(shared.laptop)
    data = shared.world.folder / "laptop" / "data"
    shutil.copytree(data, shared.world.folder / "saved")
    again = Machine("laptop", shared.world.folder, shared.world.network.transport("laptop"))
    again.close()
    for file in (shared.world.folder / "saved").iterdir():
        (data / file.name).write_bytes(file.read_bytes())  # in place: inode and mark stay

    older = Machine("laptop", shared.world.folder, shared.world.network.transport("laptop"))
    shared.world.nodes.append(older)

    assert shared.laptop_key in older.node.keys.restored()


@pytest.mark.parametrize("how", ["deleted and put back", "put back over itself"])
def test_a_home_that_was_put_back_on_its_own_disk_is_noticed(shared: Shared, how: str) -> None:
    home, saved = shared.world.folder / "laptop", shared.world.folder / "saved"
    shared.laptop.close()
    shared.world.nodes.remove(shared.laptop)
    shutil.copytree(home, saved)
    Machine("laptop", shared.world.folder, shared.world.network.transport("laptop")).close()
    if how == "deleted and put back":
        shutil.rmtree(home)
        shutil.copytree(saved, home)
    else:
        for file in (each for each in saved.rglob("*") if each.is_file() and each.name != "home-mark"):
            (home / file.relative_to(saved)).write_bytes(file.read_bytes())  # as rsync does with what differs

    older = Machine("laptop", shared.world.folder, shared.world.network.transport("laptop"))
    shared.world.nodes.append(older)

    assert shared.laptop_key in older.node.keys.restored()


def test_a_change_of_modes_makes_no_other_home(shared: Shared) -> None:
    shared.laptop.close()
    shared.world.nodes.remove(shared.laptop)
    for name in ("home-mark", "starts"):
        file = shared.world.folder / "laptop" / name
        file.chmod(0o640)
        file.chmod(0o600)

    same = Machine("laptop", shared.world.folder, shared.world.network.transport("laptop"))
    shared.world.nodes.append(same)

    assert same.node.keys.restored() == frozenset()


def test_who_is_alone_in_a_context_goes_on_when_it_says_so(world: World) -> None:
    machine = world.machine("alone")
    context_id, key = machine.create(machine.install())
    machine.close()
    world.nodes.remove(machine)
    folder = world.folder / "elsewhere"
    shutil.copytree(world.folder / "alone", folder / "alone")
    copied = Machine("alone", folder, world.network.transport("alone"))
    world.nodes.append(copied)
    with pytest.raises(RestoredUnsyncedError):
        copied.call(context_id, key, "set", key="k", value="too early")

    following = copied.running.returning.resume_alone(copied.me, context_id, force=False)

    copied.call(context_id, following, "set", key="k", value="after")
    with pytest.raises(NothingToResumeError):
        copied.running.returning.resume_alone(copied.me, context_id, force=False)


def test_who_goes_on_alone_rotates_nobody_elses_key(world: World) -> None:
    founder, machine = world.machine("founder"), world.machine("shared")
    context_id, founder_key = founder.create(founder.install())
    owners = founder.invite_and_join(machine, context_id, founder_key)
    other = Principal.node(machine.node.keys.create_account(owner=False, at=machine.at).account_id)
    key = machine.running.contexts.generate_identity(other, machine.at)
    ticket = founder.running.joining.invite(founder.me, context_id, founder_key, key, founder.at)
    machine.running.joining.join(other, ticket, key, salt=None, at=machine.at)
    machine.close()
    world.nodes.remove(machine)
    shutil.copytree(world.folder / "shared", world.folder / "elsewhere" / "shared")
    world.network.partition(["founder"], ["shared"])
    copied = Machine("shared", world.folder / "elsewhere", world.network.transport("shared"))
    world.nodes.append(copied)

    following = copied.running.returning.resume_alone(other, context_id, force=True)

    assert copied.node.keys.owner_of(following) == other.account_id
    assert owners in copied.node.keys.restored()


def test_who_has_members_to_ask_goes_on_alone_only_by_force(shared: Shared) -> None:
    copied = copy_home(shared)

    with pytest.raises(RestoredUnsyncedError):
        copied.running.returning.resume_alone(copied.me, shared.context_id, force=False)

    assert copied.running.returning.resume_alone(copied.me, shared.context_id, force=True) != shared.laptop_key


def test_a_removed_member_finds_nothing_again(shared: Shared) -> None:
    seed, contents = shared.backup()
    shared.lose_laptop()
    shared.founder.running.contexts.remove(
        shared.founder.me, shared.context_id, shared.founder_key, shared.laptop_key, shared.founder.at
    )

    again = Restored(shared.world, "again", seed, contents, [])

    assert again.running.returning.look(shared.founder.running.transport.endpoints()) == []
    assert again.node.replicas.find(shared.context_id) is None


def test_a_strangers_words_find_nothing(shared: Shared) -> None:
    again = Restored(shared.world, "stranger", Seed.generate(), None, [])

    assert again.running.returning.look(shared.founder.running.transport.endpoints()) == []
