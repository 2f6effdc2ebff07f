"""What the commands send, and what they say when something is wrong."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import APPLICATION, CONTEXT, FOUNDER, MEMBER, Meroctl, Terminal, sent
from tests.wire_server import Answer, WireServer, said, unsigned_jwt

from meroid.cli.meroctl import grammar
from meroid.cli.meroctl.tables import Table, draw

REVOKE = ["context", "identity", "revoke", "laptop", "Member", "--as", "founder", "--context", "demo"]
REVOKE_PATH = f"/admin-api/contexts/{CONTEXT}/capabilities/revoke"


# --- what is sent


def test_revoking_sends_the_object_form_with_aliases_resolved(server: WireServer, meroctl: Meroctl) -> None:
    server.on("POST", REVOKE_PATH, said({"data": None}))

    assert meroctl(*REVOKE).status == 0

    assert sent(server, REVOKE_PATH).json == {"capabilities": [[MEMBER, "Member"]], "signer_id": FOUNDER}


def test_without_as_the_only_owned_identity_acts(server: WireServer, meroctl: Meroctl) -> None:
    path = f"/admin-api/contexts/{CONTEXT}/capabilities/grant"
    server.on("POST", path, said({"data": None}))

    assert meroctl("context", "identity", "grant", MEMBER, "Proxy", "-c", "demo").status == 0

    assert sent(server, path).json == {"capabilities": [[MEMBER, "Proxy"]], "signer_id": FOUNDER}


def test_without_as_and_with_several_owned_identities_nothing_is_guessed(server: WireServer, meroctl: Meroctl) -> None:
    both = said({"data": {"identities": [MEMBER, FOUNDER]}})
    server.on("GET", f"/admin-api/contexts/{CONTEXT}/identities-owned", both)

    done = meroctl("call", "get", "-c", "demo")

    assert done.status == 1
    assert "holds 2 identities" in done.err
    assert "--as" in done.err


def test_a_call_sends_the_envelope_of_the_wire(server: WireServer, meroctl: Meroctl) -> None:
    server.on("POST", "/jsonrpc", said({"jsonrpc": "2.0", "id": "7", "result": {"output": None}}))

    words = ["call", "set", "-c", "demo", "--args", '{"k":[1]}', "--as", "laptop", "--id", "7", "--substitute", "a,b"]
    assert meroctl(*words).status == 0

    assert sent(server, "/jsonrpc").json == {
        "jsonrpc": "2.0",
        "id": "7",
        "method": "execute",
        "params": {
            "contextId": CONTEXT,
            "method": "set",
            "argsJson": {"k": [1]},
            "executorPublicKey": MEMBER,
            "substitute": ["a", "b"],
        },
    }


def test_creating_sends_the_parameters_as_bytes(server: WireServer, meroctl: Meroctl) -> None:
    server.on("GET", f"/admin-api/applications/{APPLICATION}", said({"data": {"application": {"id": APPLICATION}}}))
    made = said({"data": {"contextId": CONTEXT, "memberPublicKey": MEMBER}})
    server.on("POST", "/admin-api/contexts", made)

    words = ["context", "create", "--protocol", "near", "-a", APPLICATION, "-p", "{}", "-s", MEMBER]
    assert meroctl(*words).status == 0

    assert sent(server, "/admin-api/contexts").json == {
        "protocol": "near",
        "applicationId": APPLICATION,
        "contextSeed": MEMBER,
        "initializationParams": [123, 125],
    }


def test_nothing_is_created_when_an_alias_is_taken(server: WireServer, meroctl: Meroctl) -> None:
    done = meroctl("context", "create", "--protocol", "near", "-a", "kv", "--name", "demo")

    assert done.status == 1
    assert "[alias_taken]" in done.err
    assert "POST /admin-api/contexts" not in server.paths()


def test_an_application_that_is_not_there_is_refused_before_anything_is_made(
    server: WireServer, meroctl: Meroctl
) -> None:
    server.on("GET", f"/admin-api/applications/{APPLICATION}", said({"data": {"application": None}}))

    done = meroctl("context", "create", "--protocol", "near", "-a", "kv")

    assert (done.status, done.out) == (1, "")
    assert "Application is not installed on node." in done.err


def test_installing_by_path_sends_the_real_path(server: WireServer, meroctl: Meroctl, tmp_path: Path) -> None:
    server.on("POST", "/admin-api/install-dev-application", said({"data": {"applicationId": APPLICATION}}))
    (tmp_path / "app.wasm").write_bytes(b"\0asm")
    (tmp_path / "link.wasm").symlink_to("app.wasm")

    assert meroctl("app", "install", "--path", str(tmp_path / "link.wasm"), "-m", "hi").status == 0

    assert sent(server, "/admin-api/install-dev-application").json == {
        "path": str(tmp_path / "app.wasm"),
        "metadata": [104, 105],
        "package": "unknown",
        "version": "0.0.0",
    }


def test_force_replaces_an_alias_and_without_it_the_alias_stays(server: WireServer, meroctl: Meroctl) -> None:
    lookup = "/admin-api/alias/lookup/context/default"
    server.on("POST", lookup, said({"data": {"value": MEMBER}}))
    server.on("POST", "/admin-api/alias/delete/context/default", said({"data": None}))

    refused = meroctl("context", "use", "demo")
    assert refused.status == 1
    assert "--force" in refused.err
    assert "POST /admin-api/alias/create/context" not in server.paths()

    assert meroctl("context", "use", "demo", "--force").status == 0
    assert sent(server, "/admin-api/alias/create/context").json == {"alias": "default", "contextId": CONTEXT}


def test_an_alias_that_names_it_already_is_no_failure(server: WireServer, meroctl: Meroctl) -> None:
    done = meroctl("context", "alias", "add", "demo", CONTEXT)

    assert (done.status, done.out) == (0, f"[INFO] alias 'demo' names {CONTEXT} already\n")
    assert "POST /admin-api/alias/create/context" not in server.paths()


@pytest.mark.parametrize("alias", [MEMBER, "", "x" * 51, "ä" * 26, "a\nb", "a\x1b[2J"])
def test_what_can_be_no_alias_is_refused_here(alias: str, server: WireServer, meroctl: Meroctl) -> None:
    done = meroctl("context", "alias", "add", alias, CONTEXT)

    assert done.status == 1
    assert "[bad_alias]" in done.err
    assert "\x1b" not in done.err
    assert "POST /admin-api/alias/create/context" not in server.paths()


def test_an_identity_outside_the_context_gets_no_alias_in_it(meroctl: Meroctl) -> None:
    done = meroctl("context", "identity", "alias", "add", "new", APPLICATION, "-c", "demo")

    assert done.status == 1
    assert "[not_a_member]" in done.err


def test_aliases_are_put_into_paths_encoded(server: WireServer, meroctl: Meroctl) -> None:
    meroctl("context", "alias", "get", "a/b?c ä")

    assert server.paths() == ["POST /admin-api/alias/lookup/context/a%2Fb%3Fc%20%C3%A4"]


def test_members_without_a_route_for_them_are_listed_by_key(server: WireServer, meroctl: Meroctl) -> None:
    done = meroctl("context", "members", "-c", "demo")

    assert done.status == 0
    assert f"{MEMBER} | laptop" in " ".join(done.out.split())
    assert "not told by this node" in done.out


# --- asking before a member is removed


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_on_a_terminal_a_person_is_told_and_asked(
    typed: str, status: int, server: WireServer, meroctl: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("POST", REVOKE_PATH, said({"data": None}))
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", screen)

    assert meroctl(*REVOKE).status == status

    assert f"removes 'laptop' ({MEMBER})" in screen.getvalue()
    assert (f"POST {REVOKE_PATH}" in server.paths()) is (status == 0)


def test_with_yes_nobody_is_asked(server: WireServer, meroctl: Meroctl, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("POST", REVOKE_PATH, said({"data": None}))
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    monkeypatch.setattr(sys, "stderr", screen)

    assert meroctl(*REVOKE, "--yes").status == 0
    assert screen.getvalue() == ""


def test_the_last_member_goes_with_a_yes_only(
    server: WireServer, meroctl: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("POST", REVOKE_PATH, said({"data": None}))
    last = said({"data": {"identities": [MEMBER]}})
    server.on("GET", f"/admin-api/contexts/{CONTEXT}/identities", last)

    refused = meroctl(*REVOKE)
    assert refused.status == 1
    assert "[not_confirmed]" in refused.err
    assert "--yes" in refused.err
    assert f"POST {REVOKE_PATH}" not in server.paths()

    screen = Terminal()
    with monkeypatch.context() as at_terminal:
        at_terminal.setattr(sys, "stdin", Terminal("n\n"))
        at_terminal.setattr(sys, "stderr", screen)
        assert meroctl(*REVOKE).status == 1
    assert "it is the last member" in screen.getvalue()

    assert meroctl(*REVOKE, "--yes").status == 0


@pytest.mark.parametrize("words", [["demo"], ["demo", "info"], ["info"], []])
def test_without_a_word_for_it_the_ids_of_a_context_are_shown(
    words: list[str], server: WireServer, meroctl: Meroctl
) -> None:
    server.on("POST", "/admin-api/alias/lookup/context/default", said({"data": {"value": CONTEXT}}))

    done = meroctl("context", "get", *words)

    assert done.status == 0, done.err
    assert APPLICATION in done.out


def test_what_the_node_does_not_have_yet_is_said_to_be_so(server: WireServer, meroctl: Meroctl, run: Meroctl) -> None:
    missing = Answer(status=404, headers={"X-Meroid-Code": "no_such_path"})
    other = Answer(status=405, headers={"X-Meroid-Code": "wrong_method"})
    server.on("GET", f"/admin-api/contexts/{CONTEXT}/storage", missing)
    server.on("DELETE", f"/admin-api/contexts/{CONTEXT}", other)

    for words in (["get", "demo", "storage"], ["delete", "demo"]):
        done = meroctl("context", *words)
        assert done.status == 1
        assert done.err.startswith("error: this node doesn't have that yet [")
        assert "id or alias" not in done.err
    in_json = run("--api", server.url, "--output-format", "json", "context", "get", "demo", "storage")
    assert (json.loads(in_json.out)["code"], json.loads(in_json.out)["status"]) == ("no_such_path", 404)


# --- what went wrong


def test_a_refusal_is_two_lines_with_the_code_of_the_server(server: WireServer, meroctl: Meroctl) -> None:
    body = {"error": "no", "reason": "the member was removed", "code": "not_a_member", "next": "ask for an invitation"}
    server.on("POST", REVOKE_PATH, said(body, 403))

    done = meroctl(*REVOKE)

    assert (done.status, done.out) == (1, "")
    assert done.err == ("error: the member was removed [not_a_member, HTTP 403]\nadvice: ask for an invitation\n")


def test_in_json_a_refusal_goes_to_standard_output(server: WireServer, run: Meroctl) -> None:
    server.on("POST", REVOKE_PATH, said({"error": "no", "code": "not_a_member"}, 403))

    done = run("--api", server.url, "--output-format", "json", *REVOKE)

    facts: dict[str, Any] = json.loads(done.out)
    assert (done.status, done.err) == (1, "")
    assert facts["Other"] == ["no"]
    assert (facts["code"], facts["status"]) == ("not_a_member", 403)
    assert facts["next"]


def test_in_json_the_body_of_the_wire_is_printed_on_one_line(server: WireServer, run: Meroctl) -> None:
    body = {"jsonrpc": "2.0", "id": None, "error": {"type": "ContextNotFound"}}
    server.on("POST", "/jsonrpc", said(body))

    done = run("--api", server.url, "--output-format", "json", "call", "x", "-c", "demo")

    assert done.status == 1
    assert done.out == '{"jsonrpc":"2.0","id":null,"error":{"type":"ContextNotFound"}}\n'


def test_a_failed_call_gives_the_code_and_the_advice_of_the_node(server: WireServer, meroctl: Meroctl) -> None:
    ours = {"code": "not_a_member", "next": "ask for an invitation"}
    error = {"type": "Unauthorized", "data": {"context_id": CONTEXT, "public_key": MEMBER}, "meroid": ours}
    server.on("POST", "/jsonrpc", said({"jsonrpc": "2.0", "id": None, "error": error}))

    done = meroctl("call", "x", "-c", "demo")

    assert done.status == 1
    assert "| JSON-RPC Response | Error  |" in done.out
    assert "Unauthorized" in done.err
    assert "[not_a_member]" in done.err
    assert "advice: ask for an invitation" in done.err


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>", headers={"Content-Type": "text/html"}),
        Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
        Answer(raw=b""),
        said([]),
        said({"data": {"contexts": [{"id": 7}]}}),
        said({"data": None}),
        Answer(status=500, body=b"\x1b[2Jpanic"),
        Answer(status=401),
    ],
)
def test_no_answer_gives_a_trace(answer: Answer, server: WireServer, meroctl: Meroctl) -> None:
    server.on("GET", "/admin-api/contexts", answer)

    done = meroctl("context", "ls")

    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 2
    assert done.err.startswith("error: ")
    assert "\nadvice: " in done.err
    assert "\x1b" not in done.err
    assert "unexpected" not in done.err


def test_verbose_shows_the_trace(run: Meroctl) -> None:
    assert "Traceback" in run("--verbose", "--api", "ftp://x", "peers").err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["context"],
        ["--api", "http://a", "--node", "b", "peers"],
        ["context", "create", "-a", "x"],
        ["context", "identity", "revoke", "a", "Everything"],
        ["app", "install"],
        ["call", "x", "\udcff"],
    ],
)
def test_wrong_arguments_end_with_2(words: list[str], run: Meroctl) -> None:
    done = run(*words)

    assert (done.status, done.out) == (2, "")
    assert done.err


def test_arguments_that_are_no_json_are_refused_before_anything_is_sent(server: WireServer, meroctl: Meroctl) -> None:
    assert "[bad_argument]" in meroctl("call", "x", "-c", "demo", "--args", "{key: 1}").err
    assert server.asked == []


# --- nodes and tokens


def test_a_local_node_is_found_by_its_configuration(server: WireServer, run: Meroctl, home: Path) -> None:
    port = server.url.rsplit(":", 1)[1]
    server.on("GET", "/admin-api/peers", said({"count": 1}))
    for name, listen in {
        "n1": f'["[::1]:{port}", "127.0.0.1:{port}"]',
        "n2": f'["/ip6/::1/tcp/{port}", "/ip4/127.0.0.1/tcp/{port}"]',
        "n3": f'["0.0.0.0:{port}"]',
    }.items():
        (home / "nodes" / name).mkdir(parents=True)
        (home / "nodes" / name / "config.toml").write_text(f"[server]\nlisten = {listen}\n")

        done = run("--home", str(home / "nodes"), "--node", name, "peers")

        assert done.status == 0, done.err


@pytest.mark.parametrize("name", ["gone", "../nodes", "", "."])
def test_an_unknown_node_is_named_with_advice(name: str, run: Meroctl) -> None:
    done = run("--node", name, "peers")

    assert done.status == 1
    assert "[unknown_node]" in done.err or "[bad_client_file]" in done.err


@pytest.mark.parametrize("content", ["[", "[server]\nlisten = 3", "[server]\nlisten = ['x']", "server = 1"])
def test_a_broken_configuration_is_said(content: str, run: Meroctl, home: Path) -> None:
    (home / ".calimero" / "n1").mkdir(parents=True)
    (home / ".calimero" / "n1" / "config.toml").write_text(content)

    assert "[bad_client_file]" in run("--node", "n1", "peers").err


def test_nodes_are_registered_used_listed_and_forgotten(server: WireServer, run: Meroctl) -> None:
    server.on("GET", "/admin-api/peers", said({"count": 1}))

    assert run("node", "add", "n1", server.url).out == "[INFO] node 'n1' added\n"
    assert run("node", "add", "n1", server.url)[:2] == (0, "[INFO] node 'n1' is there already\n")
    assert "[node_name_taken]" in run("node", "add", "n1", server.url + "/other").err
    assert "[node_name_taken]" in run("node", "add", "n1", server.url, "--access-token", unsigned_jwt()).err
    assert run("node", "add", "old", "nodes").status == 0
    assert run("node", "use", "n1").status == 0
    assert run("peers").status == 0  # the active node
    rows = [
        ["n1", "Remote", f"{server.url}/", "✓"],
        ["old", "Local", str(Path("nodes").absolute()), ""],
    ]
    assert run("node", "ls").out == draw(Table(["Name", "Type", "Location", "Active"], rows)) + "\n"
    assert run("node", "rm", "n1").status == 0
    assert run("node", "use", "n1").status == 1


def test_an_open_node_says_that_it_asks_for_no_token(meroctl: Meroctl) -> None:
    done = meroctl("whoami")

    assert done.status == 0
    assert "asks for no token" in done.out


# --- the program itself


def _leaves(parser: Any) -> list[Any]:
    groups = [action for action in parser._actions if hasattr(action, "_name_parser_map")]
    if not groups:
        return [parser]
    return [leaf for group in groups for child in group.choices.values() for leaf in _leaves(child)]


def test_every_command_has_a_function_that_exists() -> None:
    leaves = _leaves(grammar.build_parser())
    for leaf in leaves:
        module, name = leaf.get_default("run").split(":")
        assert callable(getattr(import_module(f"meroid.cli.meroctl.{module}"), name))

    assert len(leaves) > 30


def _python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom meroid.cli.meroctl import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('\\n@', *sorted(sys.modules))"
    )
    loaded = set(_python(code).stdout.rsplit("@", 1)[1].split())

    heavy = {"msgspec", "httpx2", "cryptography", "nacl", "http.client", "ssl", "json", "base58", "tomllib", "asyncio"}
    assert loaded & heavy == set()
    assert not any(name.startswith("meroid.client") for name in loaded)


def test_a_reader_that_goes_away_is_no_failure_with_a_trace(server: WireServer) -> None:
    server.on("GET", "/admin-api/peers", said({"count": 1}))
    code = (
        "import os, sys\nr, w = os.pipe(); os.dup2(w, 1); os.close(w); os.close(r)\n"
        "from meroid.cli.meroctl import main\nsys.exit(main(sys.argv[1:]))"
    )

    done = _python(code, "--api", server.url, "peers")

    assert "Traceback" not in done.stderr
    assert done.returncode == 1
