"""Every row of the wire's error table, and what beside it a caller can rely on."""

import json

import pytest
from tests.servers import Running

from meroid import limits

ID = "11111111111111111111111111111111"


def test_a_success_is_200_json_in_its_envelope(node: Running) -> None:
    got = node.ask("GET", "/open?a=1&a=2&b=%20x")
    assert got.status == 200
    assert got.headers["content-type"] == "application/json"
    assert got.json["data"]["query"] == {"a": "1", "b": " x"}
    assert got.headers["cache-control"] == "no-store"


def test_an_empty_success_is_exactly_data_null(node: Running) -> None:
    assert node.ask("GET", "/nothing").body == b'{"data":null}'


def test_head_is_get_without_the_body(node: Running) -> None:
    got = node.ask("HEAD", "/nothing")
    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", "13")


def test_an_inline_handler_answers_too(node: Running) -> None:
    assert node.ask("GET", "/inline").json == {"data": "inline"}


@pytest.mark.parametrize("path", ["/", "/nowhere", "/open/", "//open", "/open%2F", "/contexts/", "/contexts//x", "/ws"])
def test_an_unknown_path_is_404_with_an_empty_body(node: Running, path: str) -> None:
    got = node.ask("GET", path)
    assert (got.status, got.body, got.code) == (404, b"", "no_such_path")


def test_a_wrong_method_is_405_with_an_empty_body_and_allow(node: Running) -> None:
    got = node.ask("DELETE", "/open")
    assert (got.status, got.body, got.code) == (405, b"", "wrong_method")
    assert got.headers["allow"] == "GET, HEAD, POST"
    assert node.ask("POST", f"/contexts/{ID}").headers["allow"] == "GET, HEAD, PUT"
    assert node.ask("BREW", "/open").status in {400, 405}


def test_a_literal_segment_wins_over_a_parameter(node: Running) -> None:
    assert node.ask("GET", "/contexts/mine").json == {"data": "mine"}
    assert node.ask("GET", f"/contexts/{ID}").json == {"data": ID}
    assert node.ask("PUT", "/contexts/mine").status == 400  # there it is a parameter


@pytest.mark.parametrize("bad", ["mine0", "1", "%ff", "%00", "0OIl", "1" * 5000, "é".encode().hex(), "%2F..%2F"])
def test_a_path_parameter_that_does_not_parse_is_400_plain_text(node: Running, bad: str) -> None:
    got = node.ask("GET", f"/contexts/{bad}")
    assert got.status == 400
    assert got.headers["content-type"].startswith("text/plain")
    assert got.text.startswith("Invalid URL:")
    assert got.code == "bad_path"
    assert "\nnext: " in got.text


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_content_type_is_415_plain_text(node: Running, content_type: str) -> None:
    got = node.ask("POST", "/item", {"name": "a", "count": 1}, {"Content-Type": content_type})
    assert (got.status, got.code) == (415, "not_json")
    assert got.text.startswith("Expected request with `Content-Type: application/json`")


def test_json_with_parameters_or_suffix_is_taken(node: Running) -> None:
    for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/ld+json"):
        assert node.ask("POST", "/item", {"name": "a", "count": 1}, {"Content-Type": content_type}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"name":"a","count":NaN}',
        b'{"name":"a","count":1}}',
        b'{"name":"\xff","count":1}',
        b'{"name":"\\ud800","count":1}',
        b'{"name":"a","count":1,"count":2}',
        b'{"name":"a","count":1,"other":{"k":1,"k":1}}',
        b'{"name":"a","count":1,"other":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 1_000_000,
        b"\xef\xbb\xbf{}",
        '{"name":"a","count":1}'.encode("utf-16"),
    ],
)
def test_a_syntax_error_is_400_plain_text(node: Running, body: bytes) -> None:
    got = node.ask("POST", "/item", body)
    assert (got.status, got.code) == (400, "bad_json")
    assert got.text.startswith("Failed to parse the request body as JSON")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"count": 1}, "name"),
        ({"name": "a"}, "count"),
        ({"name": 1, "count": 1}, "name"),
        ({"name": None, "count": 1}, "name"),
        ({"name": "a", "count": "1"}, "count"),
        ({"name": "a", "count": 1.5}, "count"),
        ({"name": "a", "count": 1, "tags": "x"}, "tags"),
        ({"name": "a", "count": 1, "tags": ["x", 5]}, "tags[1]"),
        ({"name": "", "count": 1}, "name"),
        ([], "body"),
        (None, "body"),
    ],
)
def test_a_wrong_shape_is_422_plain_text_that_names_the_field(node: Running, body: object, field: str) -> None:
    got = node.ask("POST", "/item", json.dumps(body).encode())
    assert got.status == 422
    assert got.text.startswith(f"Failed to deserialize the JSON body into the target type: {field}: ")
    assert got.code in {"bad_shape", "bad_length"}


def test_auth_routes_have_their_own_shapes_for_bad_bodies(node: Running) -> None:
    cases: list[tuple[bytes, str, int, str]] = [
        (b"{", "application/json", 400, "Invalid JSON: "),
        (b"{}", "application/json", 400, "Invalid JSON: name: "),
        (b"{}", "text/plain", 400, "Invalid JSON: "),
        (b'{"name":"","count":1}', "application/json", 422, "Validation error: name: "),
    ]
    for body, content_type, status, begins in cases:
        got = node.ask("POST", "/auth/item", body, {"Content-Type": content_type})
        assert got.status == status
        assert got.json["status"] == status
        assert got.json["error"].startswith(begins)
        assert got.json["code"] == got.code
        assert got.json["next"]
        assert "data" not in got.json


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [("missing", 404, "not_found"), ("clash", 409, "conflict"), ("often", 429, "throttled")],
)
def test_a_refusal_by_the_handler_has_status_text_code_reason_and_next(
    node: Running, what: str, status: int, code: str
) -> None:
    got = node.ask("GET", f"/raise/{what}")
    assert (got.status, got.code) == (status, code)
    assert got.json["error"] == got.json["reason"]
    assert got.json["code"] == code
    assert got.json["next"]
    auth = node.ask("GET", f"/auth/raise/{what}")
    assert auth.json == {"data": None, **got.json}


def test_too_often_says_how_long_to_wait(node: Running) -> None:
    assert node.ask("GET", "/raise/often").headers["retry-after"] == "7"


@pytest.mark.parametrize("what", ["bug", "deep", "unknown"])
def test_a_defect_is_500_with_a_request_id_and_no_detail(
    node: Running, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got = node.ask("GET", f"/raise/{what}?token=hush", headers={"Authorization": "Bearer hush"})
    assert (got.status, got.code) == (500, "internal")
    assert "secret detail" not in got.text
    assert "Traceback" not in got.text
    logged = capsys.readouterr().out
    assert got.json["request_id"] in logged
    assert "hush" not in logged


def test_oversized_bodies_are_413_with_and_without_a_length(node: Running) -> None:
    body = b'"' + b"x" * limits.JSON_BODY.value + b'"'
    got = node.ask("POST", "/item", body)
    assert (got.status, got.code) == (413, "body_too_large")
    assert got.headers["content-type"].startswith("text/plain")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = b"POST /item HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = node.raw(head + chunk * 40 + b"0\r\n\r\n", wait=3)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"x-meroid-code: body_too_large" in answer


def test_an_announced_giant_is_refused_before_it_is_sent(node: Running) -> None:
    head = (
        b"POST /item HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = node.raw(head, wait=3)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_endpoint_may_take_more(node: Running) -> None:
    assert node.ask("POST", "/big", b"x" * 4_000_000).json == {"data": 4_000_000}
    assert node.ask("POST", "/big", b"x" * 5_000_001).status == 413


def test_a_query_with_too_many_fields_is_refused(node: Running) -> None:
    assert node.ask("GET", "/open?" + "a&" * 200).code == "bad_path"


def test_a_second_request_on_the_connection_works_after_a_refusal(node: Running) -> None:
    body = b"x" * 3_000_000
    first = b"POST /item HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    second = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = node.raw(first + body + second, linger=True)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"data":null}')
