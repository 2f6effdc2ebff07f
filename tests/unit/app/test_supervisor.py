"""Who looks after workers: they are replaced with growing pauses, end with SIGTERM, and by force if they don't."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = """
import signal, sys, time
from meroid.app import supervisor
from meroid.app.supervisor import Supervisor, Worker
from meroid.cli.service import log_to_stderr

supervisor._GRACE_S = 0.5
log_to_stderr()

def patient(worker: Worker) -> None:
    time.sleep(60)

def failing(worker: Worker) -> None:
    raise SystemExit(3)

def deaf(worker: Worker) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)

Supervisor(2, {name}).run()
print("ended", flush=True)
"""


@contextmanager
def supervised(name: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    out = folder / "out"
    with out.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM.replace("{name}", name)], stdout=file, stderr=file)
    try:
        yield process, out
    finally:
        process.kill()
        process.wait()


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]


def until(out: Path, count: int, event: str) -> list[dict[str, Any]]:
    end = time.monotonic() + 20
    while len(found := [each for each in events(out) if each["event"] == event]) < count:
        assert time.monotonic() < end, out.read_text()
        time.sleep(0.01)
    return found


def test_one_that_ends_at_once_is_replaced_after_pauses_that_double(tmp_path: Path) -> None:
    with supervised("failing", tmp_path) as (_, out):
        ended = until(out, 8, "a worker has ended; another takes its place")

    mine = [each for each in ended if each["worker"] == 0][:3]
    assert [each["again_in_s"] for each in mine] == [0.1, 0.2, 0.4]
    assert {each["ended_by"] for each in mine} == {"exit code 3"}


def test_a_signal_ends_all_of_them_and_the_program_ends_well(tmp_path: Path) -> None:
    for by in (signal.SIGTERM, signal.SIGINT):
        with supervised("patient", tmp_path) as (process, out):
            workers = until(out, 2, "a worker starts")
            process.send_signal(by)

            assert process.wait(10) == 0
            assert "ended" in out.read_text()
            assert not any(Path(f"/proc/{each['pid']}").exists() for each in workers)


def test_workers_that_do_not_listen_are_killed_after_the_grace(tmp_path: Path) -> None:
    with supervised("deaf", tmp_path) as (process, out):
        workers = until(out, 2, "a worker starts")
        while out.read_text().count("deaf") < 2:
            time.sleep(0.01)
        process.terminate()

        assert process.wait(10) == 0
        assert not any(Path(f"/proc/{each['pid']}").exists() for each in workers)


def test_a_worker_hears_no_interrupt_of_the_terminal_itself(tmp_path: Path) -> None:
    with supervised("patient", tmp_path) as (process, out):
        (first, *_) = until(out, 2, "a worker starts")
        os.kill(first["pid"], signal.SIGINT)
        time.sleep(0.3)

        assert Path(f"/proc/{first['pid']}").exists()
        process.terminate()
        assert process.wait(10) == 0
