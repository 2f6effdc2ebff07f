"""`meroctl context identity link`, `unlink`, `show`."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import CONTEXT, FOUNDER, MEMBER, Meroctl, sent
from tests.wire_server import WireServer, said

IDENTITIES = f"/admin-api/contexts/{CONTEXT}/identities"
CODE = "l1." + "x" * 300


def shows(server: WireServer, key: str, **more: Any) -> None:
    shown = {"publicKey": key, "capabilities": ["Read"], "rank": [], "owned": True, "linkedKeys": [], "changes": 3}
    server.on("GET", f"{IDENTITIES}/{key}", said({"data": {**shown, **more}}))


def offers(server: WireServer, *, secret: bool) -> None:
    made = {"code": CODE, "secret": secret, "expiresAt": 1, "capabilities": ["Read", "Write"]}
    server.on("POST", f"{IDENTITIES}/link", said({"data": made}))


def takes(server: WireServer) -> None:
    linked = {"contextId": CONTEXT, "publicKey": MEMBER, "linkedTo": FOUNDER}
    server.on("POST", "/admin-api/contexts/link", said({"data": linked}))


def test_a_link_code_is_made_for_the_own_identity_and_shown_once(server: WireServer, meroctl: Meroctl) -> None:
    offers(server, secret=True)

    done = meroctl("context", "identity", "link", "-c", "demo")

    assert done.status == 0
    assert sent(server, f"{IDENTITIES}/link").json == {"identity": FOUNDER}
    assert done.out.count(CODE) == 1
    assert "Keep it secret" in done.out
    assert "Valid for: 10 minutes" in done.out


def test_a_code_for_a_named_key_and_chosen_rights(server: WireServer, meroctl: Meroctl) -> None:
    offers(server, secret=False)

    done = meroctl("context", "identity", "link", MEMBER, "-c", "demo", "--capabilities", "Read, Invite")

    assert done.status == 0
    body = {"identity": FOUNDER, "key": MEMBER, "capabilities": ["Read", "Invite"]}
    assert sent(server, f"{IDENTITIES}/link").json == body
    assert "Keep it secret" not in done.out


def test_a_terminal_gets_a_picture_of_the_code(
    server: WireServer, meroctl: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers(server, secret=True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")

    done = meroctl("context", "identity", "link", "-c", "demo", "--all")
    monkeypatch.setenv("COLUMNS", "40")
    narrow = meroctl("context", "identity", "link", "-c", "demo", "--all")

    assert sent(server, f"{IDENTITIES}/link").json == {"identity": FOUNDER, "all": True}
    assert "\u2588" in done.out
    assert "\u2588" not in narrow.out
    assert CODE in narrow.out
    assert "columns" in narrow.err


@pytest.mark.parametrize("way", ["argument", "file", "standard input", "prompt"])
def test_a_code_is_taken(
    way: str, server: WireServer, meroctl: Meroctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes(server)
    file = tmp_path / "code"
    file.write_text(CODE + "\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CODE.encode() + b"\n")))
    monkeypatch.setattr("meroid.cli.meroctl.links.is_interactive", lambda: way == "prompt")
    monkeypatch.setattr("getpass.getpass", lambda _: CODE)
    words = {
        "argument": ["--join", CODE],
        "file": ["--code-file", str(file)],
        "standard input": ["--code-file", "-"],
        "prompt": ["--join"],
    }

    done = meroctl("context", "identity", "link", *words[way])

    assert done.status == 0, done.err
    assert sent(server, "/admin-api/contexts/link").json == {"code": CODE}
    assert f"Linked to: {FOUNDER}" in done.out
    assert CODE not in done.out + done.err


def test_a_code_is_taken_for_an_own_key_and_the_context_gets_a_name(server: WireServer, meroctl: Meroctl) -> None:
    takes(server)

    done = meroctl("context", "identity", "link", "--join", CODE, "--as", MEMBER, "--name", "new")

    assert done.status == 0, done.err
    assert sent(server, "/admin-api/contexts/link").json == {"code": CODE, "identity": MEMBER}
    assert sent(server, "/admin-api/alias/create/context").json == {"alias": "new", "contextId": CONTEXT}


@pytest.mark.parametrize(
    "words",
    [
        ["not-a-key", "-c", "demo"],
        [MEMBER, "--join", CODE],
        ["--join", CODE, "--all"],
        ["--join", CODE, "--as", "laptop"],
        ["--join"],
        ["--code-file", "/nowhere/at/all"],
    ],
)
def test_what_does_not_fit_together_is_refused(words: list[str], server: WireServer, meroctl: Meroctl) -> None:
    done = meroctl("context", "identity", "link", *words)

    assert done.status != 0
    assert not [asked for asked in server.asked if asked.path.endswith("/link")]
    assert "Traceback" not in done.err


def test_unlinking_acts_as_the_main_key_of_the_device(server: WireServer, meroctl: Meroctl) -> None:
    shows(server, MEMBER, linkedTo=FOUNDER)
    server.on("POST", f"{IDENTITIES}/unlink", said({"data": {"publicKey": MEMBER, "changes": 3}}))

    done = meroctl("context", "identity", "unlink", "laptop", "-c", "demo")

    assert done.status == 0, done.err
    assert sent(server, f"{IDENTITIES}/unlink").json == {"identity": FOUNDER, "key": MEMBER}
    assert "Changes that stay: 3" in done.out


def test_a_person_is_asked_before_a_device_is_unlinked(
    server: WireServer, meroctl: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(server, MEMBER, linkedTo=FOUNDER)
    for module in ("links", "asking"):
        monkeypatch.setattr(f"meroid.cli.meroctl.{module}.is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    done = meroctl("context", "identity", "unlink", "laptop", "-c", "demo")

    assert done.status == 1
    assert "its 3 changes so far stay valid" in done.err
    assert not [asked for asked in server.asked if asked.path.endswith("/unlink")]


def test_an_identity_is_shown_with_what_is_linked(server: WireServer, meroctl: Meroctl) -> None:
    shows(server, FOUNDER, linkedKeys=[MEMBER])

    done = meroctl("context", "identity", "show", "founder", "-c", "demo")

    assert done.status == 0, done.err
    assert MEMBER in done.out


def test_the_list_of_members_says_whose_device_a_key_is(server: WireServer, meroctl: Meroctl) -> None:
    listed = [
        {"publicKey": FOUNDER, "capabilities": ["Read"], "rank": [], "owned": True},
        {"publicKey": MEMBER, "capabilities": ["Read"], "rank": [[3, 1]], "owned": False, "linkedTo": FOUNDER},
    ]
    server.on("GET", f"/admin-api/contexts/{CONTEXT}/members", said({"data": {"members": listed}}))

    done = meroctl("context", "members", "-c", "demo")

    assert done.status == 0, done.err
    assert "Read (linked to founder)" in done.out


def test_removing_a_linked_key_asks_about_its_member(
    server: WireServer, meroctl: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [
        {"publicKey": FOUNDER, "capabilities": ["Read"], "rank": [], "owned": True},
        {"publicKey": MEMBER, "capabilities": ["Read"], "rank": [], "owned": False, "linkedTo": FOUNDER},
    ]
    server.on("GET", f"/admin-api/contexts/{CONTEXT}/members", said({"data": {"members": listed}}))
    for module in ("members", "asking"):
        monkeypatch.setattr(f"meroid.cli.meroctl.{module}.is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    done = meroctl("context", "identity", "revoke", "laptop", "Member", "-c", "demo", "--as", "founder")

    assert done.status == 1
    assert f"This removes 'founder' ({FOUNDER})" in done.err
    assert "it is the last member" in done.err
