"""A failure says what to type next, for the node that the command was about."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import CONTEXT, FOUNDER, Meroctl
from tests.wire_server import WireServer, said

NO_TOKEN = {"error": "no token was sent", "code": "missing_token", "reason": "no token was sent", "next": "log in"}


def test_who_is_not_signed_in_is_told_how_to_sign_in_to_that_node(server: WireServer, run: Meroctl) -> None:
    server.on("GET", "/admin-api/contexts", said(NO_TOKEN, 401))
    run("node", "add", "my node", server.url)

    named = run("--node", "my node", "context", "ls")
    by_address = run("--api", server.url, "--output-format", "json", "context", "ls")

    assert named.err.splitlines()[1] == "advice: log in: meroctl --node 'my node' login"
    assert json.loads(by_address.out)["next"] == f"log in: meroctl --api {server.url} login"


def test_a_wrong_password_is_not_answered_with_the_advice_to_log_in(
    server: WireServer, meroctl: Meroctl, home: Path
) -> None:
    wrong = {"data": None, "error": "Authentication failed", "code": "wrong_credentials", "next": "check the password"}
    server.on("POST", "/auth/token", said(wrong, 401))
    (home / "password").write_text("guess\n")

    done = meroctl("login", "--username", "ann", "--password-file", str(home / "password"))

    assert done.err.splitlines()[1] == "advice: check the password"


@pytest.mark.parametrize(("words", "shown"), [([], ""), (["--home", "elsewhere"], "--home elsewhere ")])
def test_a_local_node_that_does_not_run_can_be_started(
    words: list[str], shown: str, run: Meroctl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    config = home / (words[1] if words else ".calimero") / "node1" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[server]\nlisten = ["/ip4/127.0.0.1/tcp/1"]\n')

    done = run(*words, "--node", "node1", "peers")

    assert done.status == 1
    assert done.err.splitlines()[1] == f"advice: start the node: merod {shown}--node-name node1 run"


def test_a_node_elsewhere_is_not_said_to_be_startable(run: Meroctl) -> None:
    done = run("--api", "http://127.0.0.1:1", "peers")

    assert done.err.splitlines()[1] == "advice: check the address, and that the node runs"


def test_who_is_no_member_any_more_is_told_so_when_nobody_was_named(server: WireServer, meroctl: Meroctl) -> None:
    server.on("GET", f"/admin-api/contexts/{CONTEXT}/identities-owned", said({"data": {"identities": []}}))

    done = meroctl("call", "get", "-c", "demo")

    assert "none of yours is a member there now" in done.err
    assert "invitation" in done.err


def test_a_name_that_names_nothing_is_quoted_with_what_it_should_name(server: WireServer, meroctl: Meroctl) -> None:
    server.on("POST", "/admin-api/alias/lookup/application/kw", said({"data": {"value": None}}))

    done = meroctl("context", "create", "--protocol", "near", "-a", "kw")

    assert done.err.startswith("error: 'kw' names no application: it is neither an alias nor an id [unknown_alias]\n")


def test_a_method_that_is_not_there_is_named(server: WireServer, meroctl: Meroctl) -> None:
    ours = {"code": "function_call_failed", "reason": "the application's method failed", "next": "correct the call"}
    failure = {"type": "FunctionCallError", "data": 'method "frob" not found', "meroid": ours}
    server.on("POST", "/jsonrpc", said({"jsonrpc": "2.0", "id": None, "error": failure}))

    done = meroctl("call", "frob", "-c", "demo", "--as", FOUNDER)

    assert 'error: FunctionCallError: method "frob" not found [function_call_failed]' in done.err


def test_a_password_file_that_is_not_there_is_a_path_to_check(meroctl: Meroctl) -> None:
    done = meroctl("login", "--username", "ann", "--password-file", "nowhere")

    assert "check the path" in done.err
