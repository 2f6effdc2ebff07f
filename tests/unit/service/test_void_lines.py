"""Void operations leave a line in the log, and nobody can flood it with them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.node_world import World, eventually
from tests.unit.service.test_hostile_nodes import Scene

from meroid.keys.public import PublicKey
from meroid.service.seldom import KEYS_MOST, PERIOD_MS, Seldom


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_what_a_removed_member_sends_leaves_one_line_a_minute(world: World) -> None:
    scene = Scene(world)
    late = [scene.villain.delta(artifact=secrets.token_bytes(4)) for _ in range(3)]
    removal = scene.one.running.contexts.remove(scene.one.me, scene.context, scene.founder, scene.key, scene.one.at)
    eventually(lambda: scene.key not in scene.ledger(scene.two).state.members)
    intake, at = scene.two.running.replication._intake, scene.two.at

    with capture_logs() as lines:
        intake.take(scene.replica(scene.two), late[:2], at)
        intake.take(scene.replica(scene.two), late[2:], at + PERIOD_MS)

    told = [line for line in lines if line["event"] == "operation void"]
    assert [line["operation"] for line in told] == [str(late[0].operation_id), str(late[2].operation_id)]
    assert {(line["log_level"], line["context"], line["because"]) for line in told} == {
        ("info", str(scene.context), str(removal.operation_id))
    }
    assert all(line["code"] == scene.ledger(scene.two).verdict(late[0].operation_id).code for line in told)


def test_what_counts_leaves_no_line(world: World) -> None:
    one = world.machine("one")
    context, founder = one.create(one.install())

    with capture_logs() as lines:
        one.call(context, founder, "set", key="a", value="1")

    assert lines == []


def test_authors_that_somebody_made_up_are_told_of_up_to_a_number() -> None:
    seldom = Seldom()
    keys = [PublicKey(secrets.token_bytes(32)) for _ in range(KEYS_MOST + 1)]

    assert [seldom.allows(key, 0) for key in keys] == [True] * KEYS_MOST + [False]
    assert not seldom.allows(keys[0], PERIOD_MS - 1)
    assert seldom.allows(keys[-1], PERIOD_MS)
