"""Every table of `meroctl`, compared letter by letter with the files in `tests/golden`."""

from pathlib import Path

import pytest
from tests.unit.cli.conftest import APPLICATION, CONTEXT, FOUNDER, MEMBER, Meroctl
from tests.wire_server import Answer, WireServer, said

from meroid.cli.meroctl.tables import ROUNDED, Table, draw

GOLDEN = Path(__file__).parents[2] / "golden"
ADMIN = "/admin-api"
NULL = said({"data": None})
JOINED = said({"data": {"contextId": CONTEXT, "memberPublicKey": MEMBER}})
APP = {
    "id": APPLICATION,
    "blob": {"bytecode": MEMBER, "compiled": FOUNDER},
    "size": 1234,
    "source": "file:///kv.wasm",
    "metadata": [],
}
WITH_A_DEVICE = [
    {"publicKey": FOUNDER, "capabilities": ["ManageMembers"]},
    {"publicKey": MEMBER, "capabilities": ["Read", "Write"], "linkedTo": FOUNDER},
]
LINK_CODE = said({"data": {"code": "l1.x", "secret": True, "expiresAt": 1, "capabilities": ["Read", "Write"]}})
LINKED = said({"data": {"contextId": CONTEXT, "publicKey": MEMBER, "linkedTo": FOUNDER}})
SHOWN = {"publicKey": MEMBER, "capabilities": ["Read"], "owned": True, "linkedKeys": [FOUNDER], "changes": 3}
OPEN = {"invitation": {"protocol": "near"}, "inviter_signature": "ab"}


def rpc(**outcome: object) -> Answer:
    return said({"jsonrpc": "2.0", "id": None, **outcome})


REFUSED = {"type": "FunctionCallError", "data": "the method call returned an error: [123, 34, 97, 34, 58, 49, 125]"}

CASES: list[tuple[str, list[str], dict[tuple[str, str], Answer]]] = [
    ("context_list", ["context", "ls"], {}),
    ("context_list_empty", ["context", "list"], {("GET", "/contexts"): said({"data": {"contexts": []}})}),
    (
        "context_create",
        ["context", "create", "--protocol", "near", "-a", "kv", "--name", "home", "--as", "me"],
        {
            ("POST", "/contexts"): JOINED,
            ("GET", f"/applications/{APPLICATION}"): said({"data": {"application": APP}}),
        },
    ),
    ("context_get_info", ["context", "get", "demo", "info"], {}),
    (
        "context_get_storage",
        ["context", "get", "demo", "storage"],
        {("GET", f"/contexts/{CONTEXT}/storage"): said({"data": {"sizeInBytes": 17}})},
    ),
    (
        "context_get_client_keys",
        ["context", "get", "demo", "client-keys"],
        {("GET", f"/contexts/{CONTEXT}/client-keys"): said({"data": {"clientKeys": []}})},
    ),
    (
        "context_delete",
        ["context", "del", "demo"],
        {("DELETE", f"/contexts/{CONTEXT}"): said({"data": {"isDeleted": True}})},
    ),
    ("context_sync", ["context", "sync", "--all"], {("POST", "/contexts/sync"): NULL}),
    ("context_use", ["context", "use", "demo"], {}),
    (
        "context_members",
        ["context", "members", "-c", "demo"],
        {
            ("GET", f"/contexts/{CONTEXT}/members"): said(
                {
                    "data": {
                        "members": [
                            {"publicKey": FOUNDER, "capabilities": ["ManageMembers", "Proxy"]},
                            {"publicKey": APPLICATION, "capabilities": []},
                        ]
                    }
                }
            )
        },
    ),
    (
        "context_invite",
        ["context", "invite", MEMBER, "new", "-c", "demo", "--as", "founder"],
        {("POST", "/contexts/invite"): said({"data": "4Mb2deLtaS7ApRdhh5ms1GuT2GtGKkKxDMakmd1C3YA2"})},
    ),
    (
        "context_invite_open",
        ["context", "invite-open", "-c", "demo"],
        {("POST", "/contexts/invite_by_open_invitation"): said({"data": OPEN})},
    ),
    (
        "context_join",
        ["context", "join", "4Mb2deLtaS7ApRdhh5ms1GuT2GtGKkKxDMakmd1C3YA2", "--name", "home", "--as", "me"],
        {("POST", "/contexts/join"): JOINED},
    ),
    (
        "context_join_open",
        ["context", "join-open", '{"invitation":{}}', "--as", MEMBER],
        {("POST", "/contexts/join_by_open_invitation"): JOINED},
    ),
    ("context_alias_add", ["context", "alias", "new", "home", CONTEXT], {}),
    ("context_alias_remove", ["context", "alias", "rm", "demo"], {}),
    ("context_alias_list", ["context", "alias", "ls"], {}),
    ("context_alias_list_empty", ["context", "alias", "ls"], {("GET", "/alias/list/context"): said({"data": {}})}),
    ("context_alias_get", ["context", "alias", "get", "demo"], {}),
    ("context_alias_get_absent", ["context", "alias", "get"], {}),
    (
        "context_members_linked",
        ["context", "members", "-c", "demo"],
        {("GET", f"/contexts/{CONTEXT}/members"): said({"data": {"members": WITH_A_DEVICE}})},
    ),
    (
        "identity_link",
        ["context", "identity", "link", "-c", "demo", "--as", "founder"],
        {("POST", f"/contexts/{CONTEXT}/identities/link"): LINK_CODE},
    ),
    (
        "identity_link_join",
        ["context", "identity", "link", "--join", "l1.x", "--name", "home"],
        {("POST", "/contexts/link"): LINKED},
    ),
    (
        "identity_unlink",
        ["context", "identity", "unlink", "laptop", "-c", "demo"],
        {
            ("GET", f"/contexts/{CONTEXT}/identities/{MEMBER}"): said({"data": {**SHOWN, "linkedTo": FOUNDER}}),
            ("POST", f"/contexts/{CONTEXT}/identities/unlink"): said({"data": {"publicKey": MEMBER, "changes": 3}}),
        },
    ),
    (
        "identity_show",
        ["context", "identity", "show", "laptop", "-c", "demo"],
        {("GET", f"/contexts/{CONTEXT}/identities/{MEMBER}"): said({"data": SHOWN})},
    ),
    (
        "identity_generate",
        ["context", "identity", "generate"],
        {("POST", "/identity/context"): said({"data": {"publicKey": CONTEXT}})},
    ),
    ("identity_list", ["context", "identity", "ls", "-c", "demo"], {}),
    (
        "identity_list_empty",
        ["context", "identity", "list", "-c", "demo", "--owned"],
        {("GET", f"/contexts/{CONTEXT}/identities-owned"): said({"data": {"identities": []}})},
    ),
    ("identity_use", ["context", "identity", "use", "laptop", "-c", "demo"], {}),
    ("identity_alias_list", ["context", "identity", "alias", "list", "-c", "demo"], {}),
    (
        "identity_grant",
        ["context", "identity", "grant", "laptop", "ManageMembers", "-c", "demo", "--as", "founder"],
        {("POST", f"/contexts/{CONTEXT}/capabilities/grant"): NULL},
    ),
    (
        "identity_revoke",
        ["context", "identity", "revoke", "laptop", "Member", "--as", "founder", "--context", "demo"],
        {("POST", f"/contexts/{CONTEXT}/capabilities/revoke"): NULL},
    ),
    (
        "call",
        ["call", "get", "-c", "demo", "--args", '{"key":"a"}'],
        {("POST", "jsonrpc"): rpc(result={"output": {"value": "grün", "n": [1, 2]}})},
    ),
    ("call_without_value", ["call", "set", "-c", "demo"], {("POST", "jsonrpc"): rpc(result={"output": None})}),
    ("call_failed", ["call", "get", "-c", "demo"], {("POST", "jsonrpc"): rpc(error=REFUSED)}),
    ("peers", ["peers"], {("GET", "/peers"): said({"count": 3})}),
    ("app_list", ["app", "ls"], {("GET", "/applications"): said({"data": {"apps": [APP, APP]}})}),
    ("app_list_empty", ["app", "ls"], {("GET", "/applications"): said({"data": {"apps": []}})}),
    (
        "app_get",
        ["app", "get", "kv"],
        {("GET", f"/applications/{APPLICATION}"): said({"data": {"application": APP}})},
    ),
    (
        "app_get_absent",
        ["app", "get", APPLICATION],
        {("GET", f"/applications/{APPLICATION}"): said({"data": {"application": None}})},
    ),
    (
        "app_install",
        ["app", "install", "-u", "https://apps.example/kv.wasm"],
        {("POST", "/install-application"): said({"data": {"applicationId": APPLICATION}})},
    ),
    (
        "app_uninstall",
        ["app", "uninstall", "kv"],
        {("DELETE", f"/applications/{APPLICATION}"): said({"data": {"applicationId": APPLICATION}})},
    ),
]


@pytest.mark.parametrize(("name", "words", "answers"), CASES, ids=[case[0] for case in CASES])
def test_a_table_is_drawn_letter_by_letter(
    name: str,
    words: list[str],
    answers: dict[tuple[str, str], Answer],
    server: WireServer,
    meroctl: Meroctl,
) -> None:
    me = f"{ADMIN}/alias/lookup/identity/{CONTEXT}/me"
    server.on("POST", me, said({"data": {"value": None}}))
    for (method, path), answer in answers.items():
        server.on(method, f"/{path}" if path == "jsonrpc" else ADMIN + path, answer)

    done = meroctl(*words)

    assert done.out == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8"), done.err
    failed = name == "call_failed"
    assert done.status == (1 if failed else 0)
    assert bool(done.err) is failed


def test_the_table_of_the_mission_stands_as_the_wire_shows_it() -> None:
    row = ["Successfully generated context identity", CONTEXT]

    assert draw(Table(["Context Identity Generated", "Public Key"], [row])) == (
        "+-----------------------------------------+---------------------------------------------+\n"
        "| Context Identity Generated              | Public Key                                  |\n"
        "+=======================================================================================+\n"
        "| Successfully generated context identity | 4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi |\n"
        "+-----------------------------------------+---------------------------------------------+"
    )


def test_a_short_header_is_filled_up() -> None:
    assert draw(Table(["Alias Lookup"], [["Status", "Found"], ["Value", CONTEXT]])) == (
        "+--------------+---------------------------------------------+\n"
        "| Alias Lookup |                                             |\n"
        "+============================================================+\n"
        "| Status       | Found                                       |\n"
        "|--------------+---------------------------------------------|\n"
        "| Value        | 4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi |\n"
        "+--------------+---------------------------------------------+"
    )


def test_the_rounded_style_stands_as_the_wire_shows_it() -> None:
    assert draw(Table(["Package"], [["com.example.a"], ["com.example.b"]], ROUNDED)) == (
        "╭───────────────╮\n"
        "│ Package       │\n"
        "╞═══════════════╡\n"
        "│ com.example.a │\n"
        "├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤\n"
        "│ com.example.b │\n"
        "╰───────────────╯"
    )


def test_text_of_others_cannot_steer_the_terminal() -> None:
    drawn = draw(Table(["A"], [["\x1b[2J\u202e\r\nx"]]))

    assert "\x1b" not in drawn
    assert "\u202e" not in drawn
    assert len(drawn.split("\n")) == 5


def test_wide_characters_keep_the_columns_straight() -> None:
    lines = draw(Table(["Name"], [["日本"], ["abcd"]])).split("\n")

    assert lines[3] == "| 日本 |"
    assert lines[5] == "| abcd |"


def test_colour_is_in_the_header_only() -> None:
    lines = draw(Table(["A"], [["b"]]), colour=True).split("\n")

    assert lines[1] == "| \x1b[32mA\x1b[39m |"
    assert "\x1b" not in "".join(lines[2:])
