"""P12: what was kept of an account brings it back on an empty machine: the same id, keys and memberships.

A founder stays; the person whose machine is lost kept 24 words, shares, a printed sheet, or a backup file.
"""

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.processes import Merod, eventually, initialise, start, stop
from tests.three_nodes import agree, bring_in, create_context, install_kv_store, members

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.key_log import verify_key_log
from meroid.account.key_log_text import parse_key_log_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A machine that is gone, and all that its owner kept."""

    founder: Merod
    account: str
    contexts: tuple[str, str]
    keys: tuple[str, str]
    words: str
    shares: list[str]
    kept: Path
    log: VerifiedKeyLog

    def codes(self) -> str:
        """The codes of the printed sheet, as a camera or a patient person reads them."""
        page = html.unescape((self.kept / "sheet.html").read_text("utf-8"))
        return "\n".join(re.findall(r"<figcaption>.*?<code>(.*?)</code>", page))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    folder = tmp_path_factory.mktemp("p12")
    founder = Merod("founder", folder / "founder")
    laptop = Merod("laptop", folder / "laptop", neighbours=[founder])
    initialise(founder, laptop)
    start(founder, laptop)
    try:
        application = install_kv_store(founder)
        made = [create_context(founder, application) for _ in range(2)]
        contexts = made[0]["contextId"], made[1]["contextId"]
        keys = [bring_in(founder, each["memberPublicKey"], each["contextId"], laptop) for each in made]
        for context_id, key in zip(contexts, keys, strict=True):
            until_it_reads(laptop, context_id, key)
            laptop.call(context_id, key, "set", key="k", value="before")
            agree(context_id, founder, laptop)
        laptop.meroctl("account", "export-log", "--out", str(folder / "log.txt"))
        stop(laptop)
        kept = keep(laptop, folder)
        with laptop.opened() as node:
            account = node.store.read(lambda tx: tx.accounts.owner())
            assert account is not None
            words = node.keys.words(account.account_id).reveal().decode()
        shutil.rmtree(laptop.home)
        yield Lost(
            founder=founder,
            account=str(account.account_id),
            contexts=contexts,
            keys=(keys[0], keys[1]),
            words=words,
            shares=[words_of(page) for page in sorted(kept.glob("shares-*.html"))],
            kept=kept,
            log=verify_key_log(parse_key_log_text((folder / "log.txt").read_text())),
        )
    finally:
        stop(founder)


def keep(laptop: Merod, folder: Path) -> Path:
    """A backup file, a sheet, and three sheets with shares."""
    kept = folder / "kept"
    kept.mkdir()
    laptop.merod("account", "backup", "--file", str(kept / "backup.txt"))
    laptop.merod("account", "backup", "--sheet", str(kept / "sheet.html"))
    laptop.merod("account", "backup", "--sheet", str(kept / "sheet.pdf"), "--paper", "letter")
    laptop.merod("account", "backup", "--shares", "2/3", "--sheet", str(kept / "shares.html"))
    return kept


def words_of(page: Path) -> str:
    """The words on a printed sheet."""
    return " ".join(re.findall(r"<li>([a-z]+)</li>", page.read_text("utf-8")))


def until_it_reads(machine: Merod, context_id: str, key: str) -> None:
    """Wait until the state of a context has come."""
    eventually(lambda: "result" in machine.execute(context_id, key, "get", key="k"), f"{context_id} is there")


class Restored(Merod):
    """An empty machine on which the account is restored."""

    def __init__(self, lost: Lost, name: str, folder: Path) -> None:
        super().__init__(name, folder / name)
        self._lost = lost

    def restore(self, *arguments: str, typed: str) -> None:
        ran = self.merod("account", "restore", *self.places, "--yes", *arguments, typed=typed)
        assert self._lost.account in ran.out

    def acting(self, context_id: str) -> str:
        """Its own member of a context, once the restored one was rotated and it may sign."""
        found: list[str] = []

        def look() -> list[str]:
            listed = self.data("GET", "/admin-api/account/client-keys")["clientKeys"]
            here = [each for each in listed if each["contextId"] == context_id and each["member"]]
            found[:] = [each["publicKey"] for each in here if not each["restored"]]
            return found

        eventually(look, f"{context_id} is back")
        return found[0]


@pytest.fixture
def machine(lost: Lost, tmp_path: Path) -> Iterator[Restored]:
    """A machine of its own; at its end the account is free for the next one."""
    machine = Restored(lost, "again", tmp_path)
    yield machine
    stop(machine)


def test_the_backup_file_brings_everything_back(lost: Lost, machine: Restored) -> None:
    machine.restore("--words-file", "-", "--backup", str(lost.kept / "backup.txt"), typed=lost.words)

    is_back(lost, machine)


def test_the_printed_sheet_brings_everything_back(lost: Lost, machine: Restored, tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.write_text(lost.codes())

    machine.restore("--words-file", "-", "--codes-file", str(codes), typed=words_of(lost.kept / "sheet.html"))

    is_back(lost, machine)


def test_two_of_three_shares_bring_everything_back(lost: Lost, machine: Restored) -> None:
    backup = str(lost.kept / "backup.txt")

    machine.restore("--shares-file", "-", "--backup", backup, typed="\n".join(lost.shares[1:]))

    is_back(lost, machine)


def test_the_words_and_one_members_address_bring_everything_back(lost: Lost, machine: Restored) -> None:
    machine.restore("--words-file", "-", typed=lost.words)
    start(machine)

    ran = machine.meroctl("account", "return", lost.founder.endpoint)

    assert all(context_id in ran.out for context_id in lost.contexts)
    is_back(lost, machine)


def is_back(lost: Lost, machine: Restored) -> None:
    """The restored account reads what was there, acts as the next key of its own, and nothing forked."""
    if not machine.running:
        start(machine)
    for context_id in lost.contexts:
        key = machine.acting(context_id)
        until_it_reads(machine, context_id, key)
        machine.call(context_id, key, "set", key="k", value="after")
        agree(context_id, lost.founder, machine)
        assert len(members(lost.founder, context_id)) == 2
        assert key in members(lost.founder, context_id)
    shown = json.loads(machine.meroctl("--output-format", "json", "account", "show").out)
    assert shown["data"]["accountId"] == lost.account
    assert "may have later entries" in machine.meroctl("account", "show").out


def test_a_restored_machine_that_says_the_log_is_the_latest_goes_on_with_it(lost: Lost, machine: Restored) -> None:
    machine.restore("--words-file", "-", "--backup", str(lost.kept / "backup.txt"), typed=lost.words)

    machine.merod("account", "log", "--is-latest", "--yes")

    start(machine)
    shown = json.loads(machine.meroctl("--output-format", "json", "account", "show").out)["data"]
    assert shown["logUnsettledAt"] is None
    assert shown["device"] in shown["keyLog"]["devices"]
    assert shown["keyLog"]["length"] == lost.log.length + 1


def test_what_was_kept_lies_in_files_of_ones_own(lost: Lost) -> None:
    for path in lost.kept.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_the_backup_file_says_nothing_but_the_account_without_the_words(lost: Lost) -> None:
    text = (lost.kept / "backup.txt").read_text()

    for secret in (lost.words, *lost.words.split(), *lost.contexts, *lost.keys, lost.founder.endpoint):
        assert secret not in text.split()


def test_restored_machines_that_know_nothing_of_each_other_are_different_devices(lost: Lost, tmp_path: Path) -> None:
    devices = set()
    for name in ("one", "other"):
        machine = Restored(lost, name, tmp_path)
        machine.restore("--words-file", "-", typed=lost.words)
        with machine.opened() as node:
            account = node.store.read(lambda tx: tx.accounts.owner())
            assert account is not None
            devices.add(account.device)

    assert len(devices) == 2
    assert devices.isdisjoint(lost.log.state.devices)


def spoilt(words: str) -> dict[str, str]:
    """The words with one fault each, by the code that names it."""
    first, second, *rest = words.split()
    return {
        "bad_phrase_word": words.replace(rest[0], "meroid", 1),
        "bad_phrase_checksum": " ".join([second, first, *rest]),
        "bad_phrase_form": words.replace(" ", "  ", 1),
        "bad_phrase_length": " ".join([second, *rest]),
    }


@pytest.mark.parametrize("code", ["bad_phrase_word", "bad_phrase_checksum", "bad_phrase_form", "bad_phrase_length"])
def test_wrong_words_are_refused_and_nothing_is_made(lost: Lost, machine: Restored, code: str) -> None:
    typed = spoilt(lost.words)[code]
    arguments = ["account", "restore", *machine.places, "--yes", "--words-file", "-"]

    ran = machine.merod(*arguments, typed=typed, ends_with=None)

    if code == "bad_phrase_checksum" and ran.code == 0:
        return  # one in 256 swaps is a phrase of its own, of another account
    assert (ran.code, code in ran.err) == (1, True)
    assert not any(word in ran.err.split() for word in lost.words.split() if len(word) > 5)
    assert not (machine.home / machine.name).exists()


def test_a_backup_of_another_account_is_refused(lost: Lost, machine: Restored, tmp_path: Path) -> None:
    other = Merod("other", tmp_path / "other")
    initialise(other)
    other.merod("account", "backup", "--file", str(tmp_path / "other.txt"))

    ran = machine.merod(
        "account",
        "restore",
        *machine.places,
        "--yes",
        "--words-file",
        "-",
        "--backup",
        str(tmp_path / "other.txt"),
        typed=lost.words,
        ends_with=1,
    )

    assert "backup_broken" in ran.err
    assert not (machine.home / machine.name).exists()


def test_a_node_is_never_restored_over(lost: Lost, machine: Restored) -> None:
    machine.restore("--words-file", "-", typed=lost.words)

    ran = machine.merod("account", "restore", "--yes", "--words-file", "-", typed=lost.words, ends_with=1)

    assert "node_present" in ran.err


def test_without_a_yes_nothing_is_made(lost: Lost, machine: Restored) -> None:
    ran = machine.merod("account", "restore", *machine.places, "--words-file", "-", typed=lost.words, ends_with=1)

    assert lost.account in ran.out
    assert "not_confirmed" in ran.err
    assert not (machine.home / machine.name).exists()


def test_asked_of_a_node_over_http_it_answers_local_only(lost: Lost) -> None:
    for action in ("backup", "restore", "recover"):
        got = lost.founder.ask("POST", f"/admin-api/account/{action}", {})
        assert (got.status, got.code) == (403, "local_only")
        assert "local_only" in lost.founder.meroctl("account", action, ends_with=1).err
