import hashlib
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.kv_replica import Replica, artifact, error_value
from tests.kv_store import SOURCE, kv_store_bytecode
from tests.unit.runtime.guests import check

from meroid.runtime import limits
from meroid.runtime.wasm import WasmRuntime
from meroid.service.ports.runtime import GuestEvent

KEY_LIMIT = 1024
VALUE_LIMIT = 512 * 1024


def replica() -> Replica:
    ready = Replica()
    assert ready.call("init").failure is None
    return ready


def test_the_build_has_the_recorded_sum() -> None:
    recorded = (SOURCE / "kv_store.wasm.sha256").read_text().split()
    assert recorded == [hashlib.sha256(kv_store_bytecode()).hexdigest(), "build/kv_store.wasm"]


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all(package.get("integrity") for name, package in lock["packages"].items() if name)


def test_the_sample_passes_the_check() -> None:
    check(kv_store_bytecode())


def test_init_commits_an_empty_state_and_returns_nothing() -> None:
    outcome = Replica().call("init")
    assert (outcome.returned, outcome.failure, outcome.events) == (None, None, ())
    assert outcome.root_hash not in (None, bytes(32))
    assert outcome.artifact


@pytest.mark.parametrize("input_", [b"", b"{}", b" { } ", b"null"])
def test_methods_without_arguments_take_nothing_in_several_forms(input_: bytes) -> None:
    one = Replica()
    assert one.raw("init", input_).failure is None
    assert one.raw("len", input_).returned == b"0"


def test_init_runs_once() -> None:
    one = replica()
    one.call("set", key="a", value="1")
    assert error_value(one.call("init"))["kind"] == "AlreadyInitialized"
    assert one.value("entries") == {"a": "1"}


def test_a_value_is_set_read_and_removed() -> None:
    one = replica()
    assert one.call("set", key="a", value="1").returned == b"null"
    assert one.value("get", key="a") == "1"
    assert one.value("remove", key="a") == "1"
    assert one.call("get", key="a").returned == b"null"
    assert (one.value("len"), one.value("entries")) == (0, {})


def test_events_tell_what_happened() -> None:
    one = replica()
    first = one.call("set", key="a", value="1").events
    second = one.call("set", key="a", value="2").events
    third = one.call("remove", key="a").events
    fourth = one.call("set", key="a", value="3").events
    assert [*first, *second, *third, *fourth] == [
        GuestEvent("Inserted", b'{"key":"a","value":"1"}'),
        GuestEvent("Updated", b'{"key":"a","value":"2"}'),
        GuestEvent("Removed", b'{"key":"a"}'),
        GuestEvent("Inserted", b'{"key":"a","value":"3"}'),
    ]


def test_the_event_of_a_large_value_carries_the_key_alone() -> None:
    one = replica()
    head = len('{"key":"k","value":""}')
    most = limits.EVENT_DATA_BYTES.value - head
    assert len(one.call("set", key="k", value="x" * most).events[0].data) == limits.EVENT_DATA_BYTES.value
    assert one.call("set", key="k", value="x" * (most + 1)).events[0].data == b'{"key":"k"}'


@pytest.mark.parametrize(
    ("method", "arguments"), [("get", {"key": "a"}), ("remove", {"key": "zz"}), ("entries", {}), ("len", {})]
)
def test_what_changes_nothing_commits_nothing(method: str, arguments: dict[str, str]) -> None:
    one = replica()
    one.call("set", key="a", value="1")
    one.call("set", key="zz", value="1")
    one.call("remove", key="zz")
    outcome = one.call(method, **arguments)
    assert (outcome.root_hash, outcome.artifact, outcome.writes, outcome.events) == (None, None, {}, ())


def test_entries_are_in_order_of_code_points() -> None:
    one = replica()
    keys = ["b", "", "a", "é", "\U0001f600", "\uffff", "ab", "A"]
    for key in keys:
        one.call("set", key=key, value=key)
    assert list(one.value("entries").items()) == [(key, key) for key in sorted(keys)]


def test_the_root_depends_on_the_set_of_versions_not_on_their_order() -> None:
    orders = [[1, 2, 3], [3, 1, 2], [2, 3, 1]]
    roots = set()
    for order in orders:
        one = replica()
        for i in order:
            one.call("set", key=str(i), value=str(i))
        roots.add(one.root)
    assert len(roots) == 1


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None)
@given(key=TEXTS, value=TEXTS, ascii_only=st.booleans())
def test_any_text_comes_back_as_it_was(key: str, value: str, ascii_only: bool) -> None:  # noqa: FBT001
    one = Replica()
    arguments = {"key": key, "value": value}
    assert one.raw("set", json.dumps(arguments, ensure_ascii=ascii_only).encode()).failure is None
    assert one.value("get", key=key) == value
    assert one.value("entries") == {key: value}


def test_all_escapes_are_understood() -> None:
    one = replica()
    text = rb'"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83D\uDE00\u0000"'
    assert one.raw("set", b'{"value":' + text + b',"key":"k"}').failure is None
    assert one.value("get", key="k") == json.loads(text)


@pytest.mark.parametrize(
    "input_",
    [
        b"",
        b"null",
        b"[]",
        b'"key"',
        b"{",
        b"{}",
        b'{"key":"a"}',
        b'{"key":"a","value":"1"',
        b'{"key":"a","value":"1",}',
        b'{"key":"a" "value":"1"}',
        b'{"key":"a","value":"1"}x',
        b'{"key":"a","value":"1","more":"2"}',
        b'{"key":"a","value":"1","key":"b"}',
        b'{"key":1,"value":"1"}',
        b'{"key":null,"value":"1"}',
        b'{"key":{},"value":"1"}',
        b"{key:'a','value':\"1\"}",
        b'{"key":"a","value":"\xff"}',
        b'{"key":"a","value":"\xed\xa0\x80"}',
        b'{"key":"a","value":"\xc0\x80"}',
        b'{"key":"a","value":"\xf4\x90\x80\x80"}',
        b'{"key":"a","value":"\n"}',
        rb'{"key":"a","value":"\ud800"}',
        rb'{"key":"a","value":"\udc00\ud800"}',
        rb'{"key":"a","value":"\ud800\u0041"}',
        rb'{"key":"a","value":"\u12"}',
        rb'{"key":"a","value":"\x41"}',
        b'{"key":"a","value":"\\',
        b'{"key":"a","value":"1\\"}',
        b'\xef\xbb\xbf{"key":"a","value":"1"}',
        b'\0{"key":"a","value":"1"}',
    ],
)
def test_bad_arguments_are_refused_with_a_reason(input_: bytes) -> None:
    one = replica()
    before = dict(one.state)
    error = error_value(one.raw("set", input_))
    assert error["kind"] == "InvalidArgument"
    assert error["data"]
    assert one.state == before


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | st.text('{}[]":,\\u019akeyvlu', max_size=40).map(str.encode))
def test_no_input_at_all_makes_the_guest_trap(input_: bytes) -> None:
    outcome = Replica().raw("set", input_)
    accepted = _accepted(input_)
    if accepted:
        assert outcome.failure is None
    else:
        assert error_value(outcome)["kind"] == "InvalidArgument"


def _accepted(input_: bytes) -> bool:
    try:
        value: Any = json.loads(input_.decode())
    except ValueError:
        return False
    return (
        isinstance(value, dict) and set(value) == {"key", "value"} and all(isinstance(v, str) for v in value.values())
    )


def test_keys_and_values_have_limits() -> None:
    one = replica()
    assert one.call("set", key="é" * (KEY_LIMIT // 2), value="x" * VALUE_LIMIT).failure is None
    assert one.value("get", key="é" * (KEY_LIMIT // 2)) == "x" * VALUE_LIMIT
    too_long = error_value(one.call("set", key="k" * (KEY_LIMIT + 1), value=""))
    assert too_long == {"kind": "InvalidArgument", "data": f"the key has more than {KEY_LIMIT} bytes"}
    too_large = error_value(one.call("set", key="k", value="x" * (VALUE_LIMIT + 1)))
    assert too_large == {"kind": "InvalidArgument", "data": f"the value has more than {VALUE_LIMIT} bytes"}


def test_hundreds_of_keys_come_and_go_as_in_a_dictionary() -> None:
    chance = random.Random(5)
    one, model = replica(), dict[str, str]()
    for i in range(1200):
        key = f"k{chance.randrange(300)}"
        if chance.random() < 0.45:
            assert one.value("remove", key=key) == model.pop(key, None)
        else:
            one.call("set", key=key, value=str(i))
            model[key] = str(i)
        if i % 200 == 199:
            assert one.value("entries") == dict(sorted(model.items()))
            assert one.value("len") == len(model)


def test_storage_keys_have_32_bytes() -> None:
    one = replica()
    one.call("set", key="a", value="1")
    assert {len(key) for key in one.state} == {32}


def _version(counter: int, *, key: bytes = b"k", value: bytes = b"v", live: int = 1) -> bytes:
    sized = len(key).to_bytes(4, "little") + key + len(value).to_bytes(4, "little") + value
    return b"\x01\x01\0\0\0" + counter.to_bytes(8, "little") + b"\x09" * 32 + bytes([live]) + sized


def test_the_artifact_is_laid_out_as_documented() -> None:
    one = Replica(9)
    assert artifact(one.call("set", key="k", value="v")) == _version(1)
    assert artifact(one.call("remove", key="k")) == _version(2, value=b"", live=0)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x02\0\0\0\0",
        b"\x01\0\0\0",
        b"\x01\0\0\0\0\0",
        b"\x01\xff\xff\xff\xff",
        _version(0),
        _version(2**62 + 1),
        _version(2**64 - 1),
        _version(1, live=2),
        _version(1, live=0),
        _version(1, key=b"\xff"),
        _version(1, value=b"\xff"),
        _version(1, key=b"k" * (KEY_LIMIT + 1)),
        _version(1, value=b"k" * (VALUE_LIMIT + 1)),
        _version(1)[:-1],
        _version(1) + b"\0",
        _version(1)[:50] + b"\xff\xff\xff\xff" + _version(1)[54:],
    ],
)
def test_a_bad_artifact_changes_nothing(bad: bytes) -> None:
    one = replica()
    one.call("set", key="k", value="1")
    before, root = dict(one.state), one.root
    outcome = one.merge(bad)
    assert error_value(outcome)["kind"] == "BadArtifact"
    assert outcome.writes == {}
    assert (one.state, one.root) == (before, root)


def test_a_hostile_counter_blocks_one_key_only_and_says_so() -> None:
    one = replica()
    assert one.merge(_version(2**62)).failure is None
    assert error_value(one.call("set", key="k", value="x"))["kind"] == "CounterExhausted"
    assert error_value(one.call("remove", key="k"))["kind"] == "CounterExhausted"
    assert one.call("set", key="other", value="x").failure is None


def test_an_artifact_reaches_a_replica_that_never_ran_init() -> None:
    one, two = replica(), Replica(2)
    outcome = one.call("set", key="a", value="1")
    two.merge(artifact(outcome))
    assert (two.value("entries"), two.root) == ({"a": "1"}, outcome.root_hash)


def _fuel_of_a_set(one: Replica) -> int:
    """The least fuel with which a new key can be set."""
    low, high = 0, 4_000_000
    while high - low > 1000:
        middle = (low + high) // 2
        probe = Replica(runtime=WasmRuntime(fuel=middle))
        probe.state = dict(one.state)
        low, high = (middle, high) if probe.call("set", key="new", value="1").failure else (low, middle)
    return high


def test_a_set_costs_the_same_with_few_keys_and_with_many() -> None:
    one = replica()
    costs, reads = [], []
    for size in (10, 3000):
        for i in range(one.value("len"), size):
            one.call("set", key=f"k{i}", value="1")
        costs.append(_fuel_of_a_set(one))
        one.reads = 0
        one.call("set", key=f"k{size}", value="1")
        reads.append(one.reads)
    assert costs[1] < costs[0] * 1.1
    assert max(reads) <= 6
