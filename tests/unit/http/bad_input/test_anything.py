"""Anything at all, sent to every route."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from tests.bad_input import ID, MODULE_FIXTURES, Target

from meroid.http.routes import Endpoint

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.sampled_from([ID, "", "Member"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def _mutated(valid: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """A value that is mostly like this one."""
    kind = draw(st.sampled_from(["same", "other", "inside", "inside", "inside"]))
    if kind == "other":
        return draw(JSON_VALUES)
    if kind == "same" or not valid or not isinstance(valid, dict | list):
        return valid
    copy: Any = valid.copy()
    place = draw(st.sampled_from(sorted(valid) if isinstance(valid, dict) else range(len(valid))))
    if draw(st.integers(0, 4)) == 0:
        del copy[place]
    else:
        copy[place] = _mutated(valid[place], draw)
    return copy


def routes(target: Target) -> list[Endpoint]:
    """Every route of the node but those of the sign-in, which have tests of their own."""
    table = target.node.running.application.table.endpoints
    return [each for each in table if isinstance(each, Endpoint) and not each.path.startswith(("/auth/", "/admin/"))]


def test_every_route_that_takes_a_body_is_tested_here(target: Target) -> None:
    bodiless = {"sync", "{context_id}", "context", "{name}", "backup", "restore", "recover", "disable", "enable"}
    posts = {
        each.path for each in routes(target) if each.methods == "POST" and each.path.split("/")[-1] not in bodiless
    } - {"/admin-api/account/rotate"}
    known = {path if path.startswith("/") else f"/admin-api/{path}" for path in target.bodies()}
    named = {path.replace("{context_id}", "{id}").replace("{context}", "{id}") for path in posts}
    assert named | {"/admin-api/alias/create/context", "/admin-api/alias/create/identity/{id}"} == known


@settings(max_examples=400, deadline=None, suppress_health_check=[*MODULE_FIXTURES, HealthCheck.too_slow])
@given(data=st.data())
def test_no_request_to_any_route_ends_in_a_defect(target: Target, data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(routes(target)))
    known = {"{context_id}": target.victim.context, "{context}": target.victim.context, "{name}": "a"}
    path = endpoint.path
    body: Any = None
    for bodies_path, valid in target.bodies().items():
        whole = bodies_path if bodies_path.startswith("/") else f"/admin-api/{bodies_path}"
        if whole.replace("{id}", "") == path.replace("{context_id}", "").replace("{context}", ""):
            body = _mutated(valid, data.draw)
    for name in ("{context_id}", "{context}", "{application_id}", "{name}"):
        strange = st.sampled_from(["%00", "%ff", "x", ID, "%2F", "é".encode().hex(), "1" * 3000])
        value = data.draw(st.just(known.get(name, ID)) | strange)
        path = path.replace(name, value)
    sent = None if body is None and data.draw(st.booleans()) else json.dumps(body).encode()
    if sent is not None and data.draw(st.integers(0, 9)) == 0:
        at = data.draw(st.integers(0, len(sent)))
        sent = sent[:at] + data.draw(st.binary(max_size=4)) + sent[at:]
    got = target.node.ask(endpoint.methods.split()[0], path, sent)
    assert got.status < 500 or got.code == "peer_unreachable", (path, sent, got.text)
    assert b"Traceback" not in got.body
    if got.status >= 400:
        assert got.code
        if got.headers.get("content-type") == "application/json":
            assert {"error", "code", "reason", "next"} <= set(got.json)
    elif endpoint.path == "/jsonrpc" and "error" in got.json:
        assert got.json["error"]["type"] != "InternalError", got.text


def test_the_node_works_as_before_after_all_that(target: Target) -> None:
    assert target.node.call(target.member, "set", {"key": "a", "value": "b"}).json["result"] == {"output": None}
    assert target.node.call(target.member, "get", {"key": "a"}).json["result"] == {"output": "b"}
    assert target.node.ask("GET", "peers").status == 200
