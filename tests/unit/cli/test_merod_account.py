"""`merod account backup` and `restore` on a real terminal (a pseudo-terminal of this machine)."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import told_secrets

from meroid.account.key_log import account_id_of
from meroid.account.seed import Seed
from meroid.account.shares import split_seed
from meroid.app import Node, initialise_node, open_vaulted
from meroid.config import Settings, load_settings, write_config


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(
        home=tmp_path / "n", name="n", auth_mode="proxy", listen=(("127.0.0.1", 1),), swarm=(("127.0.0.1", 1),)
    )
    made.home.mkdir(mode=0o700)
    initialise_node(made).close()
    write_config(made)
    return load_settings(tmp_path, "n")


class Terminal:
    """A person at `merod … account …`."""

    def __init__(self, home: Path, *action: str) -> None:
        ours, theirs = pty.openpty()
        command = [
            sys.executable,
            "-m",
            "meroid.cli.merod",
            "--home",
            str(home),
            "--node-name",
            "n",
            "account",
            *action,
        ]
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=told_secrets.watched(),
            # a suite that runs in the background was told to ignore Ctrl-C, and a program inherits that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        os.close(theirs)
        self._ours = ours
        self.seen = ""

    def until(self, text: str) -> str:
        while text not in self.seen:
            self.seen += os.read(self._ours, 4096).decode()
        return self.seen

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Press Ctrl-C until it is heard: one that comes between prompt and read waits for the next key."""
        while not select.select([self._ours], [], [], 0)[0]:
            self.process.send_signal(signal.SIGINT)
            select.select([self._ours], [], [], 1)

    def end_of_file(self) -> None:
        os.write(self._ours, b"\x04")

    def end(self) -> int:
        try:
            while chunk := os.read(self._ours, 4096):
                self.seen += chunk.decode()
        except OSError:  # the other side is closed
            pass
        os.close(self._ours)
        return self.process.wait(20)


def backed_up(settings: Settings, answer: Callable[[str], str]) -> tuple[int, str, bool]:
    terminal = Terminal(settings.home.parent, "backup")
    shown = terminal.until("Press Enter")
    words = {int(place): word for place, word in re.findall(r"(\d+)\. ([a-z]+)", shown)}
    assert sorted(words) == list(range(1, 25))
    terminal.type("")
    for _ in range(3):
        asked = re.findall(r"Word (\d+): ", terminal.until("Word ") and terminal.until(": "))
        while not asked:
            asked = re.findall(r"Word (\d+): ", terminal.until(": "))
        terminal.seen = ""
        terminal.type(answer(words[int(asked[-1])]))
    code = terminal.end()
    node = Node(settings, open_vaulted(settings, make=False))
    owner = node.store.read(lambda tx: tx.accounts.owner())
    node.close()
    assert owner is not None
    return code, terminal.seen, owner.backed_up_at is not None


def test_the_words_are_shown_once_and_the_backup_is_noted_when_three_are_confirmed(settings: Settings) -> None:
    code, seen, noted = backed_up(settings, lambda word: word)

    assert (code, noted) == (0, True)
    assert "confirmed" in seen


def test_a_wrong_word_notes_nothing(settings: Settings) -> None:
    code, seen, noted = backed_up(settings, lambda word: word[::-1] + "x")

    assert (code, noted) == (1, False)
    assert "phrase_not_confirmed" in seen


@pytest.mark.parametrize(("key", "status", "said"), [("ctrl-c", 130, "interrupted"), ("ctrl-d", 1, "nothing_typed")])
def test_words_on_the_screen_are_wiped_whatever_is_typed(settings: Settings, key: str, status: int, said: str) -> None:
    terminal = Terminal(settings.home.parent, "backup")
    terminal.until("Press Enter")
    if key == "ctrl-c":
        terminal.interrupt()
    else:
        terminal.end_of_file()

    assert terminal.end() == status
    assert WIPED in terminal.seen.partition("Press Enter")[2]
    assert said in terminal.seen
    assert "Traceback" not in terminal.seen


def test_ctrl_d_at_a_question_is_a_refusal(settings: Settings) -> None:
    terminal = Terminal(settings.home.parent, "backup")
    terminal.until("Press Enter")
    terminal.type("")
    terminal.until("Word ")
    terminal.end_of_file()

    assert terminal.end() == 1
    assert "nothing_typed" in terminal.seen
    assert "Traceback" not in terminal.seen


def test_without_a_terminal_no_word_is_shown(settings: Settings) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "meroid.cli.merod", "--home", str(settings.home.parent), "-n", "n", "account", "backup"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "needs_terminal" in ran.stderr
    assert ran.stdout == ""


WIPED = "\x1b[2J\x1b[3J"


def restored(home: Path, *typed: str) -> tuple[int, str, str]:
    """Restore under a home from what is typed line by line; exit code, what was seen, and the account."""
    terminal = Terminal(home, "restore", "--server-host", "127.0.0.1", "--swarm-host", "127.0.0.1")
    terminal.until("Type the words")
    for place, line in enumerate(typed):
        if place:
            terminal.until(f"Share {place + 1}")
        terminal.type(line)
    seen = terminal.until("[y/N]")
    terminal.type("y")
    code = terminal.end()
    account = re.search(r"This restores account (\w+)", seen)
    return code, terminal.seen, account[1] if account else ""


def test_typed_words_restore_the_account_and_are_wiped_from_the_screen(tmp_path: Path) -> None:
    seed = Seed.generate()

    code, seen, account = restored(tmp_path, seed.words().reveal().decode())

    assert (code, account) == (0, str(account_id_of(seed)))
    assert WIPED in seen
    assert seen.rindex(WIPED) < seen.index("This restores account")


def test_shares_are_asked_for_until_there_are_enough(tmp_path: Path) -> None:
    seed = Seed.generate()
    shares = [each.reveal().decode() for each in split_seed(seed, threshold=2, count=3)]

    code, _, account = restored(tmp_path, shares[2], shares[0])

    assert (code, account) == (0, str(account_id_of(seed)))


def test_shares_of_two_sets_are_refused_and_nothing_is_made(tmp_path: Path) -> None:
    one, other = (split_seed(Seed.generate(), threshold=2, count=2) for _ in range(2))
    terminal = Terminal(tmp_path, "restore")
    terminal.until("Type the words")
    terminal.type(one[0].reveal().decode())
    terminal.until("Share 2")
    terminal.type(other[1].reveal().decode())

    assert terminal.end() == 1
    assert "mixed_shares" in terminal.seen
    assert not (tmp_path / "n").exists()


def test_ctrl_c_wipes_the_words_from_the_screen(settings: Settings) -> None:
    terminal = Terminal(settings.home.parent, "backup")
    terminal.until("Press Enter")

    terminal.interrupt()

    assert terminal.end() != 0
    assert "\x1b[3J" in terminal.seen.partition("Press Enter")[2]


def test_a_restored_home_drafts_no_entry_on_a_log_that_may_be_an_old_one(tmp_path: Path) -> None:
    words, draft = tmp_path / "words", tmp_path / "draft"
    words.write_bytes(Seed.generate().words().reveal())
    assert run(tmp_path, "restore", "--words-file", str(words), "--yes").returncode == 0

    refused = run(tmp_path, "draft", "--rotate", "--out", str(draft))

    assert refused.returncode != 0
    assert "key_log_unsettled" in refused.stderr
    assert not draft.exists()


def run(home: Path, *action: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meroid.cli.merod", "--home", str(home), "--node-name", "n", "account", *action]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=told_secrets.watched())
