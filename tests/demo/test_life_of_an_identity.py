"""`make demo` as a test: the same program, on real nodes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kv_store import kv_store_bytecode

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "life_of_an_identity.py"
STEPS = ["1", "2", "3", "4", "5", "6.1", "6.2", "6.3", "6.4", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "7.7", "8", "9"]
WITHIN_S = 100


@pytest.fixture(scope="module", autouse=True)
def sample() -> None:
    """The sample application is built before the story asks for it."""
    assert kv_store_bytecode()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp_path)}


def processes_below(folder: Path) -> Iterator[int]:
    """Running processes whose home lies in this folder."""
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            environ = entry.read_bytes()
        except OSError:
            continue
        if b"HOME=" + os.fsencode(folder) in environ:
            yield int(entry.parent.name)


def test_the_story_is_played_to_its_end_and_leaves_nothing_behind(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    facts: dict[str, dict[str, Any]] = {row["step"]: row["facts"] for row in rows}
    assert [row["step"] for row in rows] == STEPS
    assert facts["7.2"]["code"] == facts["7.7"]["code"] == "membership_ended"
    assert facts["7.5"]["code"] == "peer_refused"
    assert facts["9"]["node1_verdict"] == facts["9"]["node3_verdict"] == "author_removed"
    assert facts["9"]["node1_before"] == facts["9"]["node3_before"] == "valid"
    assert facts["9"]["old_epoch"] != facts["9"]["new_epoch"]
    assert facts["9"]["earlier_delta_opens"] is True
    assert facts["9"]["later_delta_opens"] is False
    assert list(tmp_path.iterdir()) == []
    assert list(processes_below(tmp_path)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_story_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as story:
        assert story.stdout is not None
        first = json.loads(story.stdout.readline())
        running = len(list(processes_below(tmp_path)))
        story.send_signal(number)
        _, said = story.communicate(timeout=WITHIN_S)

    assert first["step"] == "1"
    assert running >= 3
    assert story.returncode == 130
    assert said == "interrupted: all nodes are stopped, and their homes are removed\n"
    assert list(tmp_path.iterdir()) == []
    assert list(processes_below(tmp_path)) == []
