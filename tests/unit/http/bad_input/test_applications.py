"""Files that are no application, and applications that misbehave."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.bad_input import FUEL, Target
from tests.served_node import network, served_node
from tests.trouble import stubborn_bytecode, trouble_bytecode

from meroid import limits
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.codec import encode_envelope, encode_operation
from meroid.ledger.operation import Delta, Operation


def test_a_path_that_names_no_module_is_refused(unchanged: Target, tmp_path: Path) -> None:
    pipe, large, loop, empty, text = (tmp_path / name for name in ("pipe", "large", "loop", "empty", "text"))
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(limits.APPLICATION_BYTES.value + 1)
    loop.symlink_to(loop)
    (tmp_path / "to-pipe").symlink_to(pipe)
    empty.touch()
    text.write_text("(module)")
    cases: list[tuple[str, int, str]] = [
        (str(tmp_path), 400, "file_unreadable"),
        ("/", 400, "file_unreadable"),
        ("/dev/zero", 400, "file_unreadable"),
        ("/dev/tty", 400, "file_unreadable"),
        (str(pipe), 400, "file_unreadable"),
        (str(tmp_path / "to-pipe"), 400, "file_unreadable"),
        (str(loop), 400, "file_unreadable"),
        (str(tmp_path / "missing"), 400, "file_unreadable"),
        (str(text / "below"), 400, "file_unreadable"),
        ("module.wasm", 400, "file_unreadable"),
        ("./module.wasm", 400, "file_unreadable"),
        ("~/module.wasm", 400, "file_unreadable"),
        (f"{empty}\0", 400, "file_unreadable"),
        ("/" + "x" * 4000, 400, "file_unreadable"),
        (f"file://{empty}", 400, "file_unreadable"),
        (str(large), 400, "application_too_large"),
        (str(empty), 400, "bad_module"),
        (str(text), 400, "bad_module"),
        ("/proc/self/status", 400, "bad_module"),
    ]
    for path, status, code in cases:
        started = time.monotonic()
        got = unchanged.post("install-dev-application", {"path": path, "metadata": []})
        assert (got.status, got.code) == (status, code), (path, got.text)
        assert time.monotonic() - started < 20
        assert str(tmp_path) not in got.text


def test_a_module_that_wants_what_is_not_offered_is_refused(unchanged: Target, tmp_path: Path) -> None:
    header = b"\x00asm\x01\x00\x00\x00"
    for number, module in enumerate((header + b"\xff" * 100, header[:7], b"\x00asm\x0d\x00\x01\x00", header * 2)):
        path = tmp_path / f"{number}.wasm"
        path.write_bytes(module)
        got = unchanged.post("install-dev-application", {"path": str(path), "metadata": []})
        assert (got.status, got.code) == (400, "bad_module")


@pytest.mark.parametrize(
    ("method", "kind", "data"),
    [
        ("trap", "FunctionCallError", "unreachable code reached"),
        ("loop", "FunctionCallError", "execution limit reached: fuel"),
        ("recurse", "FunctionCallError", "stack overflow"),
        ("grow", "FunctionCallError", "memory out of bounds"),
        ("takes", "FunctionCallError", "invalid signature"),
        ("memory", "FunctionCallError", "not found"),
        ("no\0such", "FunctionCallError", "not found"),
        ("text", "SerdeError", "not JSON"),
        ("surrogate", "SerdeError", "not JSON"),
        ("nothing", "SerdeError", "not JSON"),
        ("deep", "SerdeError", "not JSON"),
        ("digits", "SerdeError", "not JSON"),
        ("text_after_commit", "SerdeError", "not JSON"),
        ("commit_too_much", "FunctionCallError", "at most"),
        ("commit_far_too_much", "FunctionCallError", "at most"),
        ("shout", "FunctionCallError", "at most"),
        ("__calimero_sync_next", "ParseError", "not called from outside"),
        ("__calimero_register_merge", "ParseError", "not called from outside"),
        ("", "ParseError", "method"),
        ("x" * 257, "ParseError", "method"),
    ],
)
def test_a_call_that_fails_is_200_with_its_type_and_leaves_nothing_behind(
    unchanged: Target, method: str, kind: str, data: str
) -> None:
    started = time.monotonic()
    got = unchanged.node.call(unchanged.trouble, method)
    assert got.status == 200
    error = got.json["error"]
    assert error["type"] == kind
    assert data in json.dumps(error["data"])
    assert set(error["meroid"]) == {"code", "reason", "next"}
    assert len(error["meroid"]["reason"]) < 500
    assert time.monotonic() - started < 20


def test_what_is_too_large_for_an_operation_has_a_code_of_its_own(unchanged: Target) -> None:
    for method in ("commit_too_much", "commit_far_too_much", "shout"):
        got = unchanged.node.call(unchanged.trouble, method)
        assert got.code == "delta_too_large"
    got = unchanged.node.call(unchanged.member, "set", {"key": "k", "value": "x" * 600_000})
    assert got.code == "function_call_failed"  # the sample application has a smaller limit of its own


def test_the_largest_change_that_is_taken_can_be_read_again(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy") as node:
        member = node.create(node.install(trouble_bytecode()))
        before = node.stored(member.context)[0]
        assert node.call(member, "commit_most").json["result"] == {"output": None}
        assert node.stored(member.context)[0] == before + 1
        node.running.replicas.forget(ContextId.parse(member.context))
        assert node.stored(member.context)[0] == before + 1
        assert node.call(member, "commit_small").json["result"] == {"output": None}


def test_the_room_around_a_change_holds_the_largest_operation() -> None:
    operation = Operation(
        context=ContextId(bytes(32)),
        author=PublicKey(bytes(32)),
        seq=2**63,
        prev=OperationId(bytes(32)),
        parents=tuple(OperationId(bytes([n]) * 32) for n in range(limits.OPERATION_PARENTS.value)),
        auth=OperationId(bytes(32)),
        epoch=EpochId(bytes(32)),
        body=Delta(nonce=bytes(12), ciphertext=bytes(limits.OPERATION_BYTES.value - 8 * 1024 + 16)),
    )
    assert len(encode_envelope(encode_operation(operation), bytes(64))) <= limits.OPERATION_BYTES.value


@pytest.mark.parametrize(
    ("init", "code"),
    [
        ("trap", "function_call_failed"),
        ("loop", "function_call_failed"),
        ("commit_too_much", "delta_too_large"),
        ("shout", "delta_too_large"),
    ],
)
def test_a_context_whose_application_fails_at_once_is_not_made(target: Target, init: str, code: str) -> None:
    application = target.node.install(stubborn_bytecode(init), f"{init}.wasm")
    before = target.snapshot()
    body = {"protocol": "near", "applicationId": application, "initializationParams": [0] * 1000}
    got = target.post("contexts", body)
    assert (got.status, got.code) == (400, code)
    assert target.snapshot() == before


def test_a_long_call_holds_up_neither_another_context_nor_the_server(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy", fuel=20 * FUEL) as node:
        application = node.install(trouble_bytecode())
        one, two = node.create(application), node.create(application)
        slow = threading.Thread(target=node.call, args=(one, "loop"))
        slow.start()
        time.sleep(0.1)
        assert node.call(two, "fine").json["result"] == {"output": 999}
        assert node.ask("GET", "health").status == 200
        assert slow.is_alive()
        slow.join()


@pytest.mark.parametrize("arguments", [None, [], [1, 2], "text", 5, True, 1.5, {}, {"key": 5}, {"key": None}, [[[]]]])
def test_arguments_of_any_kind_reach_the_application_and_no_further(unchanged: Target, arguments: Any) -> None:
    got = unchanged.node.call(unchanged.member, "get", arguments)
    assert got.status == 200
    assert "result" in got.json or got.json["error"]["type"] == "FunctionCallError"
