"""`merod keys …` and `merod init --key-store` as processes: what they print, refuse and leave behind."""

import json
import os
import pty
import resource
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from tests import told_secrets
from tests.contract.store_records import add_context
from tests.homes import HomeOfNode
from tests.processes import Merod, Ran, initialise, start, stop

from meroid.app import open_vaulted

PROGRAM = [sys.executable, "-m", "meroid.cli.merod"]
KILLS = 10


def merod(*arguments: str, limit: int | None = None) -> Ran:
    """Run `merod`; with a `limit`, no file may grow beyond so many bytes."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = subprocess.run(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=limited,
        env=told_secrets.watched(),
    )
    told_secrets.wrote(f"merod {' '.join(arguments[4:])}", ended.stdout + ended.stderr)
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def keys(home: HomeOfNode, *arguments: str, limit: int | None = None) -> Ran:
    return merod(*home.arguments, "keys", *arguments, limit=limit)


@pytest.fixture
def home(tmp_path: Path) -> HomeOfNode:
    return HomeOfNode(tmp_path / "nodes")


def enlarge(home: HomeOfNode, megabytes: int) -> None:
    """Give the node state, so that to seal it anew takes a moment."""
    vaulted = open_vaulted(home.settings, make=False)
    there = add_context(vaulted.store)
    for number in range(megabytes):
        values = {f"{number}/{each}".encode(): os.urandom(50_000) for each in range(20)}
        vaulted.store.write(lambda tx, values=values: tx.state.write(there, values))  # type: ignore[misc]
    vaulted.store.close()


def refusal(ran: Ran) -> str:
    """The code of a refusal that says what to do, and shows no traceback."""
    assert ran.code == 1, ran
    said, hint = ran.err.splitlines()[-2:]
    assert said.startswith("error: ")
    assert said.endswith(")")
    assert hint.startswith("hint: ")
    assert "Traceback" not in ran.err
    return said.rpartition("(")[2].rstrip(")")


# --- what they say


def test_show_says_where_the_key_lies_and_that_it_opens_the_database(home: HomeOfNode) -> None:
    ran = keys(home, "show")
    assert ran.code == 0
    assert f"store key         file:{home.directory}/store.key\n" in ran.out
    assert "opens database    yes\n" in ran.out

    said = json.loads(keys(home, "show", "--json").out)
    assert (said["found"], said["opensDatabase"], said["problem"], said["keyStore"]) == (True, True, None, "file:")
    assert said["process"] == {"untraceable": True, "noCoreFiles": True}
    assert said["memory"] == {"locked": True, "leftOutOfCoreDumps": True}
    assert {each["mode"] for each in said["files"]} == {"0600", "0700"}


def test_show_says_what_is_wrong_and_fails(home: HomeOfNode) -> None:
    (home.directory / "store.key").chmod(0o644)
    ran = keys(home, "show")
    assert refusal(ran) == "key_store_open_to_others"
    assert "mode 0644" in ran.out
    ran = keys(home, "show", "--json")
    assert json.loads(ran.out)["problem"]["code"] == refusal(ran) == "key_store_open_to_others"


def test_rotate_and_move_say_what_they_would_do_and_what_they_did(home: HomeOfNode) -> None:
    old, before = home.key(), home.opened()
    assert old is not None

    assert "would make a new store key" in keys(home, "rotate-store", "--dry-run").out
    assert "would move the store key" in keys(home, "move", "file:new", "--dry-run").out
    assert home.key() == old

    ran = keys(home, "rotate-store")
    assert (ran.code, ran.err) == (0, "")
    assert "the old one is destroyed" in ran.out
    new = home.key()
    assert new is not None
    assert new != old

    ran = keys(home, "move", "file:new")
    assert (ran.code, ran.err) == (0, "")
    assert f"to file:{home.directory}/new" in ran.out
    assert home.holders(new) == {"new"}
    assert home.opened() == before


def test_a_copy_in_the_environment_is_named(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_KEY", (home.directory / "store.key").read_text())
    assert keys(home, "move", "env:STORE_KEY").code == 0
    assert refusal(keys(home, "rotate-store")) == "key_store_read_only"
    ran = keys(home, "move", "file:")
    assert "a copy stays at env:STORE_KEY" in ran.out


def test_while_the_node_runs_all_of_them_are_refused(tmp_path: Path) -> None:
    node = Merod("n", tmp_path)
    initialise(node)
    start(node)
    try:
        for command in (["show"], ["rotate-store"], ["rotate-store", "--dry-run"], ["move", "file:new"]):
            ran = merod("--home", str(node.home), "-n", "n", "keys", *command)
            assert refusal(ran) == "store_in_use"
        assert node.ask("GET", "/health/live").status == 200
    finally:
        stop(node)
    assert merod("--home", str(node.home), "-n", "n", "keys", "rotate-store").code == 0
    start(node)
    stop(node)


def test_progress_is_a_line_on_a_terminal_only(home: HomeOfNode) -> None:
    enlarge(home, 8)
    code, seen = on_a_terminal([*home.arguments, "keys", "rotate-store"])
    assert code == 0
    assert "100 % of" in seen
    assert "%" not in keys(home, "rotate-store").err


# --- what is refused


def test_a_full_disk_changes_nothing(home: HomeOfNode) -> None:
    enlarge(home, 2)
    before = {name: (home.directory / name).read_bytes() for name in home.names()}
    assert refusal(keys(home, "rotate-store", limit=1_000_000)) == "disk_full"
    assert {name: (home.directory / name).read_bytes() for name in home.names()} == before
    # Here not even the database's shared memory can be made, whose empty files stay until the next opening.
    assert refusal(keys(home, "move", "file:new", limit=10)) == "store_failed"
    assert {name: (home.directory / name).read_bytes() for name in before} == before
    assert home.names() - before.keys() <= {"data/node.db-wal", "data/node.db-shm"}
    assert keys(home, "show").code == 0


def test_bad_uris_change_nothing_and_have_a_code_each(home: HomeOfNode) -> None:
    before = {name: (home.directory / name).read_bytes() for name in home.names()}
    for uri, code in (
        ("nothing:", "unknown_key_store"),
        ("file:store.key", "same_key_store"),
        ("env:NO_SUCH_VARIABLE", "key_store_read_only"),
        ("keyring:?backend=plaintext", "key_store_backend_refused"),
        ("pkcs11:object=x", "bad_pkcs11_uri"),
        ("pkcs11:token=t?pin-value=123456", "pin_in_uri"),
        ("pkcs11:token=t?module-path=/nonexistent.so&pin-source=/nonexistent", "pkcs11_module_missing"),
    ):
        ran = keys(home, "move", uri)
        assert refusal(ran) == code
        assert "123456" not in ran.out + ran.err
        assert {name: (home.directory / name).read_bytes() for name in home.names()} == before


# --- killed


@pytest.mark.parametrize("command", [["rotate-store"], ["move", "file:new"]], ids=" ".join)
def test_killed_at_any_moment_the_node_starts_and_everything_opens(home: HomeOfNode, command: list[str]) -> None:
    enlarge(home, 6)
    before = home.opened()
    begin = time.monotonic()
    assert keys(home, *command).code == 0
    whole_s = time.monotonic() - begin
    for number in range(KILLS):
        target = ["move", f"file:new-{number}"] if command[0] == "move" else command
        process = subprocess.Popen([*PROGRAM, *home.arguments, "keys", *target], stdout=subprocess.DEVNULL)
        time.sleep(whole_s * (0.35 + 0.65 * secrets.randbelow(1000) / 1000))
        process.kill()
        process.wait()

        assert home.opened() == before
        key = home.key()
        assert key is not None
        assert len(home.holders(key)) == 1
        assert sum("store.key" in name or "new" in name for name in home.names()) == 1
        assert not any("resealed" in name or ".next" in name or ".move" in name for name in home.names())


def test_a_node_whose_rotation_was_killed_serves_again(tmp_path: Path) -> None:
    node = Merod("n", tmp_path)
    initialise(node)
    start(node)
    made = node.data("POST", "/admin-api/identity/context", b"null")["publicKey"]
    stop(node)
    for wait in (0.3, 0.5, 0.7):
        command = [*PROGRAM, "--home", str(node.home), "-n", "n", "keys", "rotate-store"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        start(node)
        stop(node)
    assert "copied or put back" not in node.log  # it is the same home as before
    with node.opened() as opened:
        assert made in {str(each.public_key) for each in opened.store.read(lambda tx: tx.accounts.client_keys())}


# --- a token


def asking_uri(token: Any) -> str:
    return f"pkcs11:token=a%20token?module-path={token.module}"


def on_a_terminal(arguments: Sequence[str], *answers: str) -> tuple[int, str]:
    """Run `merod` on a terminal, answering each question for a PIN; its code and what was seen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=told_secrets.watched()
    )
    os.close(theirs)
    seen = ""
    waiting = list(answers)
    try:
        while chunk := os.read(ours, 4096).decode():
            seen += chunk
            if waiting and seen.count("PIN of token") > len(answers) - len(waiting) and seen.rstrip().endswith(":"):
                os.write(ours, waiting.pop(0).encode() + b"\n")
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    told_secrets.wrote("merod on a terminal", seen)  # where keys are at work nothing secret is shown even there
    return process.wait(30), seen


@pytest.mark.needs("softhsm2")
def test_a_node_behind_a_token_asks_for_the_pin_on_a_terminal_and_takes_it_from_a_file(
    tmp_path: Path, token: Any
) -> None:
    pin = token.pin_file.read_text().strip()
    where = ["--home", str(tmp_path / "nodes"), "-n", "n"]
    quiet = ["--server-port", "0", "--swarm-port", "0"]

    assert refusal(merod(*where, "init", *quiet, "--key-store", asking_uri(token))) == "pin_needed"
    assert not (tmp_path / "nodes" / "n").exists()

    code, seen = on_a_terminal([*where, "init", *quiet, "--key-store", asking_uri(token)], pin)
    assert code == 0, seen
    assert pin not in seen
    code, seen = on_a_terminal([*where, "keys", "show"], pin)
    assert code == 0, seen
    assert "pkcs11: token a token" in seen
    assert pin not in seen
    code, seen = on_a_terminal([*where, "keys", "rotate-store"], pin)
    assert code == 0, seen
    code, seen = on_a_terminal([*where, "keys", "show"], "0000")
    assert code == 1
    assert "wrong_pin" in seen
    code, seen = on_a_terminal([*where, "keys", "show"], "\x04")
    assert code == 1
    assert "pin_needed" in seen
    assert refusal(merod(*where, "keys", "show")) == "pin_needed"

    code, seen = on_a_terminal([*where, "keys", "move", "file:"], pin)
    assert code == 0, seen
    assert merod(*where, "keys", "move", token.uri()).code == 0
    ran = merod(*where, "keys", "rotate-store")
    assert ran.code == 0, ran.err
    assert json.loads(merod(*where, "keys", "show", "--json").out)["opensDatabase"]


@pytest.mark.needs("softhsm2")
def test_a_token_that_is_unplugged_emptied_or_has_another_pin(tmp_path: Path, token: Any) -> None:
    home = HomeOfNode(tmp_path / "nodes", token.uri())
    before = {name: (home.directory / name).read_bytes() for name in home.names()}
    commands = (["keys", "show"], ["keys", "rotate-store"], ["keys", "move", "file:"], ["run"])

    def all_refused(code: str) -> None:
        for command in commands:
            assert refusal(merod(*home.arguments, *command)) == code
            assert {name: (home.directory / name).read_bytes() for name in home.names()} == before

    token.unplug()
    all_refused("token_missing")
    token.plug_in()

    pin = token.pin_file.read_bytes()
    token.pin_file.write_bytes(b"0000\n")
    all_refused("wrong_pin")
    token.pin_file.write_bytes(pin)
    token.pin_file.chmod(0o644)
    all_refused("key_store_open_to_others")
    token.pin_file.chmod(0o600)

    assert keys(home, "show").code == 0
    slot = pkcs11.lib(str(token.module)).get_token(token_label="a token")
    with slot.open(rw=True) as session:  # this process is logged in already
        for found in list(session.get_objects()):
            found.destroy()
    all_refused("token_object_missing")


@pytest.mark.needs("softhsm2")
def test_killed_while_a_token_is_rotated_everything_opens_at_the_next_start(tmp_path: Path, token: Any) -> None:
    home = HomeOfNode(tmp_path / "nodes", token.uri())
    begin = time.monotonic()
    assert keys(home, "rotate-store").code == 0
    whole_s = time.monotonic() - begin
    for _ in range(KILLS // 2):
        process = subprocess.Popen([*PROGRAM, *home.arguments, "keys", "rotate-store"], stdout=subprocess.DEVNULL)
        time.sleep(whole_s * (0.4 + 0.6 * secrets.randbelow(1000) / 1000))
        process.kill()
        process.wait()
        ran = keys(home, "rotate-store")
        assert ran.code == 0, ran.err
        assert json.loads(keys(home, "show", "--json").out)["opensDatabase"]
        assert sum(name.endswith(".pkcs11") for name in home.names()) == 1


# --- a keychain


@pytest.mark.needs("dbus-daemon", "gnome-keyring")
def test_a_node_with_its_key_in_a_keychain(tmp_path: Path, keychain: Any) -> None:
    where = ["--home", str(tmp_path / "nodes"), "-n", "n"]
    ran = merod(*where, "init", "--server-port", "0", "--swarm-port", "0", "--key-store", "keyring:")
    assert ran.code == 0, ran.err
    assert merod(*where, "keys", "rotate-store").code == 0
    said = json.loads(merod(*where, "keys", "show", "--json").out)
    assert said["opensDatabase"]
    assert said["place"].startswith("keyring: meroid (")
    assert not (tmp_path / "nodes" / "n" / "store.key").exists()

    keychain.lock()
    for command in (["keys", "show"], ["keys", "rotate-store"], ["keys", "move", "file:"], ["run"]):
        assert refusal(merod(*where, *command)) == "keychain_locked"
    assert not (tmp_path / "nodes" / "n" / "store.key").exists()


# --- init


def new_node(tmp_path: Path, *arguments: str, limit: int | None = None) -> Ran:
    where = ["--home", str(tmp_path / "nodes"), "-n", "n"]
    return merod(*where, "init", "--server-port", "0", "--swarm-port", "0", *arguments, limit=limit)


@pytest.mark.parametrize("place", ["file:", "file:deeper/my.key", "file:{folder}/keys/my.key", "env:STORE_KEY"])
def test_init_takes_every_key_store(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_KEY", "A" * 43 + "=")
    uri = place.format(folder=tmp_path)
    ran = new_node(tmp_path, "--key-store", uri)
    assert ran.code == 0, ran.err
    said = json.loads(merod("--home", str(tmp_path / "nodes"), "-n", "n", "keys", "show", "--json").out)
    assert (said["keyStore"], said["opensDatabase"]) == (uri, True)
    assert all(each["private"] for each in said["files"])


def test_init_with_a_bad_key_store_leaves_nothing_behind(tmp_path: Path) -> None:
    for uri, code in (
        ("nothing:", "unknown_key_store"),
        ("file:a\nb", "unknown_key_store"),
        ("env:NO_SUCH_VARIABLE", "key_store_read_only"),
        ("file:/proc/nothing/key", "key_store_unavailable"),
        ("pkcs11:token=t?module-path=/nonexistent.so&pin-source=/nonexistent", "pkcs11_module_missing"),
    ):
        assert refusal(new_node(tmp_path, "--key-store", uri)) == code
        assert not (tmp_path / "nodes" / "n").exists()


def test_init_that_is_forced_and_refused_keeps_the_node_that_is_there(home: HomeOfNode) -> None:
    before = {name: (home.directory / name).read_bytes() for name in home.names()}
    forced = [*home.arguments, "init", "--force", "--server-port", "0", "--swarm-port", "0"]
    for uri in ("nothing:", "env:NO_SUCH_VARIABLE"):
        refusal(merod(*forced, "--key-store", uri))
        assert {name: (home.directory / name).read_bytes() for name in home.names()} == before
    assert [each.name for each in home.folder.iterdir()] == ["n"]

    accounts = home.opened()[0]
    assert merod(*forced).code == 0
    assert [each.name for each in home.folder.iterdir()] == ["n"]
    vaulted = open_vaulted(home.settings, make=False)
    owner = vaulted.store.read(lambda tx: tx.accounts.owner())
    vaulted.store.close()
    assert owner is not None
    assert str(owner.account_id) not in accounts


def test_a_forced_init_that_was_killed_gives_the_old_node_back_to_the_next_one(home: HomeOfNode) -> None:
    before = home.opened()
    home.directory.rename(home.folder / ".n.replaced")
    home.directory.mkdir()
    (home.directory / "store.key").write_text("of the node that was being made")

    ran = merod(*home.arguments, "init")

    assert ran.code == 0
    assert "is there already" in ran.err
    assert home.opened() == before


def test_a_node_that_runs_is_not_thrown_away(tmp_path: Path) -> None:
    node = Merod("n", tmp_path)
    initialise(node)
    start(node)
    assert refusal(merod("--home", str(node.home), "-n", "n", "init", "--force")) == "store_in_use"
    assert node.ask("GET", "/health/live").status == 200
    stop(node)
