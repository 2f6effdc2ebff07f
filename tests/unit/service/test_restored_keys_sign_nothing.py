"""Every way in which a restored key could sign before its rotation, or stand in two contexts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import Machine, World

from meroid.account.seed import Seed
from meroid.app import Node, open_vaulted
from meroid.config import Settings
from meroid.service.backups import Kept
from meroid.service.entry import RestoredIdentityError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_copies_of_a_home_dont_join_with_the_same_waiting_identity(world: World) -> None:
    founder, laptop = world.machine("founder"), world.machine("laptop")
    first, first_key = founder.create(founder.install())
    second, second_key = founder.create(founder.install())
    waiting = laptop.identity()
    laptop.close()
    world.nodes.remove(laptop)
    shutil.copytree(world.folder / "laptop", world.folder / "elsewhere" / "laptop")
    original = Machine("laptop", world.folder, world.network.transport("original"))
    copied = Machine("laptop", world.folder / "elsewhere", world.network.transport("copied"))
    world.nodes += [original, copied]
    one = founder.running.joining.invite(founder.me, first, first_key, waiting, founder.at)
    two = founder.running.joining.invite(founder.me, second, second_key, waiting, founder.at)

    original.running.joining.join(original.me, one, waiting, salt=None, at=original.at)
    with pytest.raises(RestoredIdentityError):
        copied.running.joining.join(copied.me, two, waiting, salt=None, at=copied.at)


def test_an_identity_from_a_backup_joins_nothing(world: World) -> None:
    founder, laptop = world.machine("founder"), world.machine("laptop")
    context_id, key = founder.create(founder.install())
    waiting = laptop.identity()
    contents = laptop.node.backups.contents(laptop.me.account_id, laptop.at)
    seed = Seed.from_words(laptop.node.keys.words(laptop.me.account_id).reveal().decode())
    settings = Settings(
        home=world.folder / "again",
        name="again",
        auth_mode="proxy",
        listen=(("127.0.0.1", 0),),
        swarm=(("127.0.0.1", 0),),
    )
    settings.home.mkdir(mode=0o700)
    node = Node(settings, open_vaulted(settings, make=True))
    node.backups.restore(Kept(seed=seed, contents=contents), node.clock.now_ms())
    node.close()
    again = Machine("again", world.folder, world.network.transport("again"))
    world.nodes.append(again)
    ticket = founder.running.joining.invite(founder.me, context_id, key, waiting, founder.at)

    with pytest.raises(RestoredIdentityError):
        again.running.joining.join(again.me, ticket, waiting, salt=None, at=again.at)
