"""The search for secrets at the end of a test run finds what it should, and fails the run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import told_secrets
from tests.told_secrets import findings, forms, note, watch_log, watched, wrote

SECRET = bytes(range(150, 182))
WORDS = b"abandon ability able about above absent absorb abstract absurd abuse access accident"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(told_secrets.VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("number", range(len(forms(SECRET))))
def test_each_form_of_a_secret_is_found_anywhere_in_an_output(folder: Path, number: int) -> None:
    note(SECRET)
    wrote("a program", b"before " + sorted(forms(SECRET))[number] + b" after")
    found = findings(folder)
    assert found == ["a program shows a value of kind 'secret' that must stay secret"]


def test_four_words_of_a_phrase_are_found_and_single_ones_are_not(folder: Path) -> None:
    note(WORDS)
    wrote("one", "he was able to access it")
    assert findings(folder) == []
    wrote("two", "the words absent absorb abstract absurd were told")
    assert len(findings(folder)) == 1


def test_a_log_is_read_at_the_end(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "node.txt"
    watch_log(log)
    note(SECRET)
    assert findings(folder) == []
    log.write_text(f"key {SECRET.hex()}")
    assert findings(folder) == ["the log node.txt shows a value of kind 'secret' that must stay secret"]


_MAKES = """
import sys
from meroid.auth.jws import SigningKey
from meroid.keys.signer import Secret
from meroid.service import invitations
from meroid.vault.locked_memory import LockedSecret
secret, locked = Secret(b"the first secret"), LockedSecret(b"the second secret")
salt = bytes(range(32))
invitations.invitation_secret(salt)
token = SigningKey("kid", Secret(bytes(range(1, 33)))).sign(b"{}")
print({"first": secret.reveal(), "second": locked.reveal(), "third": token, "fourth": salt, "none": repr(secret)}[sys.argv[1]])
"""


@pytest.mark.parametrize(
    ("what", "shows", "may_show"),
    [
        ("first", ["secret"], False),
        ("second", ["secret"], True),
        ("third", ["secret"], True),
        ("fourth", ["invitation"], False),
        ("fourth", [], True),
        ("none", [], False),
    ],
)
def test_what_a_process_makes_is_known_and_an_invitation_may_be_shown_where_it_should(
    folder: Path, what: str, shows: list[str], *, may_show: bool
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _MAKES, what], env=watched(), capture_output=True, check=True, timeout=60
    )
    wrote("it", ended.stdout, may_show_invitations=may_show)
    assert [line.split("'")[1] for line in findings(folder)] == shows


def test_a_run_in_which_a_secret_is_told_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_it.py").write_text(
        "from tests.told_secrets import note\n\ndef test_it():\n    note('a secret password')\n    print('a secret password')\n"
    )
    root = Path(__file__).parents[2]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MEROID_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--rootdir", tmp_path, tmp_path],
        env={**outside, "PYTHONPATH": str(root)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "SECRET TOLD: test_it.py::test_it" in ended.stdout
    assert "1 passed" in ended.stdout
