"""`merod keys rotate-signing` as a process, on a real home."""

from pathlib import Path

import pytest
from tests.homes import HomeOfNode
from tests.unit.cli.test_merod_keys import keys, refusal

from meroid.app import open_vaulted


@pytest.fixture
def home(tmp_path: Path) -> HomeOfNode:
    return HomeOfNode(tmp_path / "nodes")


def kids(home: HomeOfNode) -> list[tuple[str, bool]]:
    """Every signing key, newest first, and whether it signs."""
    vaulted = open_vaulted(home.settings, make=False)
    try:
        records = vaulted.store.read(lambda tx: tx.auth.signing_keys())
    finally:
        vaulted.store.close()
    return [(each.kid, each.retired_at is None) for each in records]


def test_a_new_key_signs_and_the_old_one_verifies_for_a_while(home: HomeOfNode) -> None:
    ((old, _),) = kids(home)

    dry = keys(home, "rotate-signing", "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert f"{old} would verify tokens until 2" in dry.out
    assert "nothing was changed" in dry.out
    assert kids(home) == [(old, True)]

    ran = keys(home, "rotate-signing")
    assert (ran.code, ran.err) == (0, "")
    (new, _), *others = after = kids(home)
    assert after == [(new, True), (old, False)] == [(new, True), *others]
    assert f"new token signing key {new}\n" in ran.out
    assert f"the old one, {old}, signs nothing more and verifies tokens until 2" in ran.out


def test_ending_all_tokens_at_once_needs_a_yes(home: HomeOfNode) -> None:
    keys(home, "rotate-signing")
    before = kids(home)
    assert refusal(keys(home, "rotate-signing", "--now")) == "not_confirmed"
    assert "would verify tokens no more" in keys(home, "rotate-signing", "--now", "--dry-run").out
    assert kids(home) == before

    ran = keys(home, "rotate-signing", "--now", "--yes")

    assert (ran.code, ran.err) == (0, "")
    ((new, signs),) = kids(home)
    assert signs
    assert new not in {kid for kid, _ in before}


def test_while_the_node_runs_it_is_refused(home: HomeOfNode) -> None:
    before = kids(home)
    vaulted = open_vaulted(home.settings, make=False)
    try:
        for more in ((), ("--dry-run",), ("--now", "--yes")):
            assert refusal(keys(home, "rotate-signing", *more)) == "store_in_use"
    finally:
        vaulted.store.close()
    assert kids(home) == before
