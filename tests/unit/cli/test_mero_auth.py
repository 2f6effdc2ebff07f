"""`mero-auth` as an operator types it: init, check, and what it says of a configuration that is wrong."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from meroid.app import Beginning, initialise_auth
from meroid.cli.mero_auth import program
from meroid.cli.mero_auth.greeting import greet
from meroid.config import TlsFiles, load_standalone
from meroid.store.lock import lock_database


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "log_to_stderr", lambda *, more: None)
    monkeypatch.setattr(program, "harden_process", lambda: None)


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mero-auth", *arguments])
    return program.main()


def test_init_makes_configuration_key_and_database_and_later_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "--workers", "2", "init") == 0
    made = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert typed(monkeypatch, "init") == 0

    assert {path.relative_to(tmp_path).as_posix() for path in made} >= {"auth.toml", "auth/auth.db", "auth/store.key"}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == made
    assert "already" in capsys.readouterr().err
    assert load_standalone(tmp_path / "auth.toml", {}).workers == 2


def test_an_owner_is_made_with_a_password_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pw").write_text("correct horse battery\n", "utf-8")

    assert typed(monkeypatch, "init", "--owner", "olga") == 1
    assert "no_password" in capsys.readouterr().err
    assert not (tmp_path / "auth").exists()
    assert typed(monkeypatch, "init", "--owner", "olga", "--owner-password-file", "pw") == 0
    assert not (tmp_path / "auth" / "setup-code").exists()


def test_an_init_that_fails_leaves_nothing_and_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pw").write_text("\n", "utf-8")
    assert typed(monkeypatch, "init", "--owner", "olga", "--owner-password-file", "pw") == 1
    assert "bad_provider_data" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["pw"]
    assert typed(monkeypatch, "-c", "absent/auth.toml", "init") == 1
    assert "config_unwritable" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["pw"]

    (tmp_path / "pw").write_text("correct horse battery\n", "utf-8")
    assert typed(monkeypatch, "init", "--owner", "olga", "--owner-password-file", "pw") == 0


def test_an_init_beside_one_that_begins_takes_nothing_of_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "auth").mkdir()
    held = lock_database(tmp_path / "auth" / "auth.db")
    try:
        assert typed(monkeypatch, "init") == 1
    finally:
        held.release()

    assert "store_in_use" in capsys.readouterr().err
    assert (tmp_path / "auth" / "auth.db.lock").exists()
    assert not (tmp_path / "auth.toml").exists()


def test_the_home_of_a_memory_store_is_not_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MERO_AUTH__STORAGE__TYPE", "memory")

    assert typed(monkeypatch, "init") == 1
    assert "bad_config" in capsys.readouterr().err


def test_check_says_what_holds_and_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "auth.toml").write_text("sesame = 1\n[storage]\ntype = 'rocksdb'\n", "utf-8")
    monkeypatch.setenv("MERO_AUTH__WORKERS", "2")

    assert typed(monkeypatch, "check") == 0
    out = capsys.readouterr().out
    assert typed(monkeypatch, "check", "--json") == 0
    shown = json.loads(capsys.readouterr().out)

    assert "environment MERO_AUTH__WORKERS" in out
    assert shown["ignored"] == ["sesame"]
    assert len(shown["warnings"]) == 2
    assert {"name": "workers", "value": "2", "source": "environment MERO_AUTH__WORKERS"} in shown["settings"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("workers = 0", "bad_config"), ("key_store = 'cloud:'", "unknown_key_store"), ("=", "bad_config")],
)
def test_a_configuration_that_is_wrong_is_refused_by_check_and_by_run(
    text: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "auth.toml").write_text(text, "utf-8")

    for command in ("check", "run"):
        assert typed(monkeypatch, "--bind", "127.0.0.1:0", command) == 1
        assert code in capsys.readouterr().err
    assert not (tmp_path / "auth" / "auth.db").exists()


def test_a_second_service_in_the_same_home_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    initialise_auth(load_standalone(None, {}), None)
    held = lock_database(tmp_path / "auth" / "auth.db")
    try:
        assert typed(monkeypatch, "--bind", "127.0.0.1:0", "run") == 1
    finally:
        held.release()
    assert "store_in_use" in capsys.readouterr().err


def test_the_signing_key_is_rotated_with_the_service_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    initialise_auth(load_standalone(None, {}), None)

    assert typed(monkeypatch, "keys", "rotate-signing") == 0
    assert "new token signing key" in capsys.readouterr().out
    assert typed(monkeypatch, "keys", "rotate-store") == 0
    assert "auth.db" in capsys.readouterr().out
    assert typed(monkeypatch, "keys", "show") == 0


@pytest.mark.parametrize("asked", [("--owner", "eve"), ("--key-store", "env:KEY")])
def test_an_init_that_can_not_give_what_was_asked_for_is_refused(
    asked: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "init") == 0
    made = (tmp_path / "auth" / "auth.db").read_bytes()

    assert typed(monkeypatch, "init", *asked) == 1

    assert "service_exists" in capsys.readouterr().err
    assert (tmp_path / "auth" / "auth.db").read_bytes() == made


def test_a_password_file_that_can_not_be_read_is_named_with_its_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "init", "--owner", "olga", "--owner-password-file", "absent") == 1
    assert "absent can't be read: No such file or directory" in capsys.readouterr().err


def test_a_certificate_that_can_not_serve_ends_the_start_before_anything_is_said_or_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "auth.toml").write_text('[tls]\ncert = "cert.pem"\nkey = "key.pem"\n', "utf-8")

    assert typed(monkeypatch, "--bind", "127.0.0.1:0", "run") == 1

    said = capsys.readouterr()
    assert ("bad_tls_files" in said.err, said.out) == (True, "")
    assert not (tmp_path / "auth").exists()


@pytest.mark.parametrize(("tls", "scheme"), [(None, "http"), (TlsFiles(cert=Path("c"), key=Path("k")), "https")])
def test_it_tells_its_address_with_the_scheme_that_it_speaks(
    tls: TlsFiles | None, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(load_standalone(None, {}), tls=tls)

    greet(Beginning(settings=settings, addresses=(("127.0.0.1", 3001), ("::1", 3001)), setup_code=None))

    said = capsys.readouterr().out
    assert f"{scheme}://127.0.0.1:3001 and {scheme}://[::1]:3001" in said
    assert f"{scheme}://127.0.0.1:3001/auth/validate" in said
