"""Calls that are none, and more of them than the node takes."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.bad_input import BAD_IDS, ID, NOT_AN_ID, Target, plain
from tests.served_node import network, served_node
from tests.servers import Got
from tests.trouble import trouble_bytecode

from meroid import limits


@pytest.mark.parametrize(
    "change",
    [
        {"id": -1},
        {"id": 1.5},
        {"id": True},
        {"id": []},
        {"id": {}},
        {"id": 2**64},
        {"id": 10**400},
        {"jsonrpc": "1.0"},
        {"jsonrpc": 2},
        {"jsonrpc": None},
        {"jsonrpc": ["2.0"]},
    ],
)
def test_a_wrong_envelope_is_422(unchanged: Target, change: dict[str, Any]) -> None:
    got = unchanged.post("/jsonrpc", {**unchanged.bodies()["/jsonrpc"], **change})
    plain(got, 422, "bad_shape", "Failed to deserialize the JSON body into the target type: ")


@pytest.mark.parametrize("field", ["id", "jsonrpc"])
def test_an_envelope_without_id_or_version_is_422(unchanged: Target, field: str) -> None:
    body = unchanged.bodies()["/jsonrpc"]
    del body[field]
    plain(unchanged.post("/jsonrpc", body), 422, "bad_shape")


@pytest.mark.parametrize(
    "change",
    [
        {"method": "query"},
        {"method": ""},
        {"method": None},
        {"method": 5},
        {"method": ["execute"]},
        {"method": "execute\0"},
        {"method": "x" * 100_000},
        {"params": None},
        {"params": []},
        {"params": "x"},
        {"params": {}},
    ],
    ids=lambda change: str(change)[:30],
)
def test_another_method_or_other_params_are_a_parse_error_at_200(unchanged: Target, change: dict[str, Any]) -> None:
    got = unchanged.post("/jsonrpc", {**unchanged.bodies()["/jsonrpc"], **change})
    assert got.status == 200
    error = got.json["error"]
    assert (error["type"], error["meroid"]["code"]) == ("ParseError", "bad_params")
    assert isinstance(error["data"], str)
    assert len(got.body) < 2000


def test_params_of_the_wrong_type_are_a_parse_error_that_names_them(unchanged: Target) -> None:
    bad: dict[str, list[Any]] = {
        "contextId": [*NOT_AN_ID, *BAD_IDS],
        "executorPublicKey": [*NOT_AN_ID, *BAD_IDS],
        "method": [5, None, [], "", "x" * 257],
        "substitute": [5, None, {}, [5], ["x" * 201], ["x"] * 65],
    }
    body = unchanged.bodies()["/jsonrpc"]
    for field, values in bad.items():
        for value in values:
            changed = {**body, "params": {**body["params"], field: value}}
            error = unchanged.post("/jsonrpc", changed).json["error"]
            assert error["type"] == "ParseError", (field, value)
            assert error["data"].startswith(field)
    for field in ("contextId", "executorPublicKey", "method", "argsJson"):
        params = {name: value for name, value in body["params"].items() if name != field}
        assert unchanged.post("/jsonrpc", {**body, "params": params}).json["error"]["type"] == "ParseError"


def test_a_failure_without_an_id_in_the_envelope_still_has_one(unchanged: Target) -> None:
    got = unchanged.post("/jsonrpc", {"jsonrpc": "2.0", "id": None, "method": "x"})
    assert got.json["id"] is None


def test_substitution_cannot_make_arguments_grow_without_bound(unchanged: Target) -> None:
    unchanged.node.data("POST", f"alias/create/identity/{unchanged.member.context}", {"alias": "a", "identity": ID})
    started = time.monotonic()
    got = unchanged.node.call(unchanged.member, "get", {"key": "{a}" * 600_000}, substitute=["a"] * 64)
    assert got.json["error"]["meroid"]["code"] == "bad_params"
    assert time.monotonic() - started < 20
    for names in ([""], ["{"], ["a}{a"], ["\0"], ["a"] * 64):
        assert unchanged.node.call(unchanged.member, "get", {"key": "{}{{a}}"}, substitute=names).status == 200
    unchanged.node.data("POST", f"alias/delete/identity/{unchanged.member.context}/a")


def test_the_pool_of_identities_is_bounded(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy") as node:
        answers: list[Got] = []

        def generate() -> None:
            answers.extend(node.ask("POST", "identity/context", b"null") for _ in range(6))

        asking = [threading.Thread(target=generate) for _ in range(4)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        made = [got.json["data"]["publicKey"] for got in answers if got.status == 200]
        assert len(made) == len(set(made)) == limits.UNBOUND_IDENTITIES.value
        for got in answers:
            assert (got.status, got.code) in {(200, None), (409, "pool_full")}


def test_contexts_made_at_the_same_time_are_all_made(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy") as node:
        application = node.install(trouble_bytecode())
        seeds = [None] * 5 + [ID] * 3
        answers: list[Got] = []

        def create(seed: str | None) -> None:
            body: dict[str, Any] = {
                "protocol": "x",
                "applicationId": application,
                "initializationParams": [],
                "contextSeed": seed,
            }
            answers.append(node.ask("POST", "contexts", body))

        asking = [threading.Thread(target=create, args=(seed,)) for seed in seeds]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        assert sorted(got.status for got in answers) == [200] * 6 + [409] * 2
        assert {got.code for got in answers if got.status == 409} == {"context_seed_used"}
        assert len(node.data("GET", "contexts")["contexts"]) == 6
