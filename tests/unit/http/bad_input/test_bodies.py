"""Bodies that are none, and fields that can't be."""

import json
from typing import Any

import pytest
from tests.bad_input import BAD_IDS, BODY_ROUTES, ID, NOT_AN_ID, Target, plain

from meroid import limits


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x00"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: body[:16].decode("latin-1"),
)
def test_a_body_that_is_not_json_is_400(unchanged: Target, path: str, body: bytes) -> None:
    plain(unchanged.post(path, body), 400, "bad_json", "Failed to parse the request body as JSON")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_another_content_type_is_415(unchanged: Target, path: str) -> None:
    body = json.dumps(unchanged.bodies()[path]).encode()
    for kind in ("text/plain", "", "application/x-www-form-urlencoded"):
        got = unchanged.post(path, body, headers={"Content-Type": kind})
        plain(got, 415, "not_json", "Expected request with `Content-Type: application/json`")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_an_oversized_body_is_413(unchanged: Target, path: str) -> None:
    body = json.dumps({**unchanged.bodies()[path], "more": "x" * limits.JSON_BODY.value}).encode()
    plain(unchanged.post(path, body), 413, "body_too_large")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_what_is_wrong_in_a_field_that_nobody_reads_is_refused_too(unchanged: Target, path: str) -> None:
    body = json.dumps(unchanged.bodies()[path])[:-1].encode()
    deep = b"[" * 10_000 + b"]" * 10_000
    for more in (b'"x":' + deep, b'"x":{"k":1,"k":2}', b'"x":"\\udfff"', b'"x":NaN', b'"x":"\xff"', b'"x":1,"x":1'):
        plain(unchanged.post(path, body + b"," + more + b"}"), 400, "bad_json")
    plain(unchanged.post(path, body + b"} {}"), 400, "bad_json")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("body", [[], None, 5, "text", True, 1.5], ids=str)
def test_a_body_of_another_type_is_422(unchanged: Target, path: str, body: Any) -> None:
    got = unchanged.post(path, json.dumps(body).encode())
    code = "bad_length" if body == [] and "capabilities" in path else "bad_shape"
    plain(got, 422, code, "Failed to deserialize the JSON body into the target type")


@pytest.mark.parametrize("path", [path for path in BODY_ROUTES if path != "/jsonrpc"])
def test_a_missing_field_is_422_and_named(unchanged: Target, path: str) -> None:
    valid = unchanged.bodies()[path]
    for field in valid:
        got = unchanged.post(path, {name: value for name, value in valid.items() if name != field})
        plain(got, 422, "bad_shape", f"Failed to deserialize the JSON body into the target type: {field}: missing")


NOT_BYTES: list[Any] = [[256], [-1], [1.5], ["1"], [None], [True], [10**30], "abc", {}, None, 5, [[1]]]
NOT_A_NAME: list[Any] = [5, None, [], {}, True, "", "x" * 201]
NOT_A_NUMBER: list[Any] = [-1, 1.5, "5", None, 2**63, 10**400, True, []]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("contexts", "applicationId"),
        ("contexts/invite", "contextId"),
        ("contexts/invite", "inviterId"),
        ("contexts/invite", "inviteeId"),
        ("contexts/invite_by_open_invitation", "contextId"),
        ("contexts/invite_by_open_invitation", "inviterId"),
        ("contexts/join_by_open_invitation", "newMemberPublicKey"),
        ("contexts/{id}/capabilities/grant", "signer_id"),
        ("contexts/{id}/capabilities/revoke", "signer_id"),
        ("alias/create/context", "contextId"),
        ("alias/create/application", "applicationId"),
        ("alias/create/identity/{id}", "identity"),
    ],
)
def test_what_is_no_id_is_422_and_named(unchanged: Target, path: str, field: str) -> None:
    for value in (*NOT_AN_ID, *BAD_IDS):
        got = unchanged.post(path, {**unchanged.bodies()[path], field: value})
        code = "bad_id" if isinstance(value, str) else "bad_shape"
        plain(got, 422, code, f"Failed to deserialize the JSON body into the target type: {field}: ")
        assert len(got.text) < 500


@pytest.mark.parametrize(
    ("path", "field", "values"),
    [
        ("install-dev-application", "metadata", [*NOT_BYTES, [0] * 65_537]),
        ("install-dev-application", "path", [5, None, [], "", "/" * 4097]),
        ("install-dev-application", "package", [5, [], {}]),
        ("contexts", "protocol", NOT_A_NAME),
        ("contexts", "initializationParams", NOT_BYTES),
        ("contexts", "contextSeed", [each for each in (*NOT_AN_ID, *BAD_IDS) if each is not None]),
        ("contexts/invite_by_open_invitation", "validForBlocks", NOT_A_NUMBER),
        ("contexts/join", "invitationPayload", [5, None, [], {}, "", "1" * 8193]),
        ("contexts/{id}/capabilities/grant", "capabilities", [5, None, {}, [], [[ID]], [[ID, 5]], [["x", "Read"]]]),
        ("contexts/{id}/capabilities/grant", "capabilities", [[[ID, "Read", "x"]], [[ID, ""]], [[ID, "Read"]] * 65]),
        ("alias/create/context", "alias", [5, None, [], {}, True]),
    ],
)
def test_a_value_of_the_wrong_type_or_length_is_422_and_named(
    unchanged: Target, path: str, field: str, values: list[Any]
) -> None:
    for value in values:
        got = unchanged.post(path, {**unchanged.bodies()[path], field: value})
        assert got.status == 422, (value, got.text)
        assert got.code in {"bad_shape", "bad_length", "bad_id"}
        assert got.text.startswith(f"Failed to deserialize the JSON body into the target type: {field}")


def test_the_bare_form_of_capabilities_is_checked_like_the_other(unchanged: Target) -> None:
    for verb in ("grant", "revoke"):
        bad: list[Any] = [[[ID]], [[ID, 5]], [["x", "Read"]], [ID, "Read"], [[]], [[ID, "Read"]] * 65, [{}], [None]]
        for pairs in bad:
            assert unchanged.post(f"contexts/{{id}}/capabilities/{verb}", pairs).status == 422


@pytest.mark.parametrize(
    "name",
    ["", "x" * 51, "é" * 26, "x" * 100_000, "a\0b", "\0", "a\nb", "\x1b[31m", "\u202egnp", "\u200b", "\x7f", ID],
)
def test_a_bad_alias_is_422_and_says_why(unchanged: Target, name: str) -> None:
    for path in ("alias/create/context", "alias/create/application", "alias/create/identity/{id}"):
        got = unchanged.post(path, {**unchanged.bodies()[path], "alias": name})
        plain(got, 422, "bad_alias", "Failed to deserialize the JSON body into the target type: alias: ")


def test_an_alias_of_fifty_bytes_is_taken(target: Target) -> None:
    for name in ("x" * 50, "é" * 25, "日" * 16, "a b", "-", "..", "%2F", "'; DROP TABLE aliases; --"):
        assert target.post("alias/create/context", {"alias": name, "contextId": ID}).status == 200
    assert target.node.data("POST", "alias/delete/context/%C3%A9" + "%C3%A9" * 24) is None


@pytest.mark.parametrize("name", ["%00", "%ff", "x" * 5000, "%2e%2e%2f", "%0a", "a%20b%00c", "%F0%9F%92%A9" * 20])
def test_looking_up_a_strange_name_finds_nothing_or_is_refused(unchanged: Target, name: str) -> None:
    for verb in ("lookup", "delete"):
        got = unchanged.post(f"alias/{verb}/identity/{{id}}/{name}", b"null")
        assert got.status in {200, 400}
        if got.status == 200:
            assert got.json == {"data": {"value": None} if verb == "lookup" else None}
        else:
            plain(got, 400, "bad_path", "Invalid URL:")
