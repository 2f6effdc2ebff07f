"""The whole story in its order, and how it ends when something goes wrong."""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

from examples.life import ending, founding, removal
from examples.life.events import Watcher
from examples.life.machines import StoryError, machines
from examples.life.narrator import Narrator, narrator_for, since
from examples.life.stage import APPLICATION, PEOPLE, Stage, Watchers

from meroid.errors import MeroidError

_INTERRUPTED: Final = 130
_BEGINNING: Final = (
    "The life of an identity: three real nodes, driven through meroctl and the Python client alone. "
    "Each step shows what was typed (--output-format json, which the story adds, is left out), what came of it "
    "(✓ holds, ✗ refused), and how long it took."
)


def main() -> int:
    """Play the story; the exit code is 0, 1 where something is not as it should be, 130 when interrupted."""
    parser = argparse.ArgumentParser(description="The life of an identity, on three nodes that are removed afterwards.")
    parser.add_argument("--json", action="store_true", help="one JSON object a line and step")
    arguments = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # both are text files here
    if not APPLICATION.is_file():
        sys.stderr.write("error: the sample application is not built\nadvice: run `make setup`\n")
        return 1
    narrator = narrator_for(sys.stdout, os.environ, as_json=arguments.json)
    try:
        with _signals_as_interrupt():
            _play(narrator)
    except (StoryError, MeroidError) as problem:
        sys.stderr.write(f"error: {problem}\n")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes at its end
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: all nodes are stopped, and their homes are removed\n")
        return _INTERRUPTED
    return 0


def _play(narrator: Narrator) -> None:
    start = time.monotonic()
    narrator.begin(_BEGINNING)
    with machines(PEOPLE) as (ada, ben, cleo):
        stage = Stage(narrator=narrator, ada=ada, ben=ben, cleo=cleo)
        founding.start_nodes(stage)
        founding.sign_in(stage)
        demo = founding.create_context(stage, founding.generate_identities(stage))
        founding.show_delta(stage)
        invitation = founding.let_ben_join(stage, demo)
        notes_id = founding.share_notes(stage, demo)
        founding.let_cleo_join(stage, demo)
        with _watchers(stage) as watchers:
            before = founding.share_events(stage, demo, notes_id, watchers)
            removal.remove_ben(stage, demo, watchers)
            after = removal.go_on_without_ben(stage, demo, watchers)
            removal.go_on_elsewhere(stage, notes_id, watchers)
            forged = removal.forge(stage, demo, invitation, watchers)
            removal.nothing_changed(stage)
            removal.restart(stage, notes_id, watchers)
            ending.run_script(stage, demo)
        ending.audit(stage, demo, forged=forged, before=before, after=after)
    narrator.end(f"All of it held. {since(start) / 1000:.1f} s; the nodes are stopped, and their homes are removed.")


@contextlib.contextmanager
def _watchers(stage: Stage) -> Iterator[Watchers]:
    with Watcher(stage.ada) as ada, Watcher(stage.ben) as ben, Watcher(stage.cleo) as cleo:
        yield Watchers(ada=ada, ben=ben, cleo=cleo)


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """The first signal ends the story; further ones are ignored, so that what was started is always stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for each in known:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    known = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(each, interrupt) for each in known]
    try:
        yield
    finally:
        for each, handler in zip(known, before, strict=True):
            signal.signal(each, handler)
