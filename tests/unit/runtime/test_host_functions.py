from nacl.signing import SigningKey
from tests.unit.runtime.guests import AT, CONTEXT, EXECUTOR, buffer, guest, invocation, number, run

from meroid.keys.public import PublicKey
from meroid.service.ports.runtime import GuestEvent

KEY = buffer(1024, 32)  # descriptor at 0
KEY_BYTES = b"k" * 32


def test_the_input_comes_through_a_register() -> None:
    code = guest("(call $input (i64.const 3)) (call $give (i64.const 3))")
    assert run(code, invocation(input_=b'{"a":1}')).returned == b'{"a":1}'


def test_an_empty_input_is_an_empty_register() -> None:
    assert run(guest("(call $input (i64.const 3)) (call $give (i64.const 3))")).returned == b""


def test_context_and_executor_are_named() -> None:
    assert run(guest("(call $context_id (i64.const 0)) (call $give (i64.const 0))")).returned == bytes(CONTEXT)
    assert run(guest("(call $executor_id (i64.const 0)) (call $give (i64.const 0))")).returned == bytes(EXECUTOR)


def test_register_len_of_an_unknown_register_is_all_ones() -> None:
    assert number(run(guest("(call $number (call $register_len (i64.const 5)))"))) == 2**64 - 1


def test_read_register_copies_only_into_exactly_as_many_bytes() -> None:
    read = "(call $number (i64.extend_i32_u (call $read_register (i64.const 0) (i64.const 0))))"
    for size, copied in ((31, 0), (32, 1), (33, 0)):
        code = guest(f"(call $context_id (i64.const 0)) {buffer(4096, size)} {read}")
        assert number(run(code)) == copied


def test_the_last_returned_value_wins() -> None:
    twice = "(call $return (i64.const 1024) (i64.const 3)) (call $return (i64.const 1027) (i64.const 3))"
    assert run(guest(twice, data=b"onetwo")).returned == b"two"


def test_a_method_may_return_nothing() -> None:
    outcome = run(guest(""))
    assert (outcome.returned, outcome.failure, outcome.root_hash) == (None, None, None)


def test_logs_are_kept_in_order_also_when_the_call_fails() -> None:
    log = f"{buffer(1024, 2)} (call $log_utf8 (i64.const 0)) {buffer(1026, 2)} (call $log_utf8 (i64.const 0))"
    data = "éß".encode()
    assert run(guest(log, data=data)).logs == ("é", "ß")
    failed = run(guest(log + "(unreachable)", data=data))
    assert (failed.logs, failed.failure) == (("é", "ß"), "unreachable code reached")


def test_events_carry_kind_data_and_handler() -> None:
    event = buffer(1024, 4) + buffer(1028, 2, slot=16) + buffer(1030, 3, slot=32)
    code = guest(
        event + "(call $emit (i64.const 0)) (call $emit_with_handler (i64.const 0) (i64.const 32))"
        "(call $emit_with_handler (i64.const 0) (i64.const 0))",
        data=b"Kind\xff\x00run",
    )
    plain = GuestEvent("Kind", b"\xff\x00", None)
    assert run(code).events == (plain, GuestEvent("Kind", b"\xff\x00", "run"), plain)


def test_commit_gives_root_and_artifact() -> None:
    code = guest(
        buffer(1024, 32) + buffer(1056, 3, slot=16) + "(call $commit (i64.const 0) (i64.const 16))",
        data=b"r" * 32 + b"art",
    )
    outcome = run(code)
    assert (outcome.root_hash, outcome.artifact) == (b"r" * 32, b"art")


COMMIT = buffer(1024, 32, slot=800) + buffer(0, 0, slot=816) + "(call $commit (i64.const 800) (i64.const 816))"


def test_storage_reads_the_state_and_its_own_writes() -> None:
    read = "(call $storage_read (i64.const 0) (i64.const 1))"
    found = guest(f"{KEY} (if {read} (then (call $give (i64.const 1))))", data=KEY_BYTES)
    assert run(found, state={KEY_BYTES: b"old"}).returned == b"old"
    assert run(found).returned is None
    write = f"{buffer(1056, 3, slot=16)} (drop (call $storage_write (i64.const 0) (i64.const 16) (i64.const 2)))"
    own = guest(f"{KEY} {write} {COMMIT} (if {read} (then (call $give (i64.const 1))))", data=KEY_BYTES + b"new")
    outcome = run(own, state={KEY_BYTES: b"old"})
    assert (outcome.returned, outcome.writes) == (b"new", {KEY_BYTES: b"new"})


def test_storage_write_gives_the_old_value_and_whether_there_was_one() -> None:
    code = guest(
        f"{KEY} {buffer(1056, 3, slot=16)} {COMMIT}"
        "(if (call $storage_write (i64.const 0) (i64.const 16) (i64.const 2)) (then (call $give (i64.const 2))))",
        data=KEY_BYTES + b"new",
    )
    assert run(code, state={KEY_BYTES: b"old"}).returned == b"old"
    assert run(code).returned is None
    assert run(code).writes == {KEY_BYTES: b"new"}


def test_storage_remove_gives_the_old_value_and_hides_the_key() -> None:
    remove = "(call $storage_remove (i64.const 0) (i64.const 2))"
    code = guest(
        f"{KEY} {COMMIT} (if {remove} (then (call $give (i64.const 2))))"
        "(if (call $storage_read (i64.const 0) (i64.const 1)) (then (unreachable)))"
        f"(if {remove} (then (unreachable)))",
        data=KEY_BYTES,
    )
    there = run(code, state={KEY_BYTES: b"old"})
    assert (there.returned, there.writes) == (b"old", {KEY_BYTES: None})
    absent = run(code)
    assert (absent.returned, absent.writes, absent.failure) == (None, {}, None)


def test_a_run_never_touches_the_state_that_it_reads() -> None:
    state = {KEY_BYTES: b"old"}
    code = guest(f"{KEY} {COMMIT} (drop (call $storage_remove (i64.const 0) (i64.const 2)))", data=KEY_BYTES)
    run(code, state=state)
    assert state == {KEY_BYTES: b"old"}


def test_a_failed_run_leaves_no_writes_events_root_or_value() -> None:
    code = guest(
        f"{KEY} {buffer(1024, 3, slot=16)} (drop (call $storage_write (i64.const 0) (i64.const 16) (i64.const 2)))"
        f"(call $emit (i64.const 0)) {COMMIT} (call $return (i64.const 1024) (i64.const 1)) (unreachable)",
        data=KEY_BYTES,
    )
    outcome = run(code)
    assert outcome.failure is not None
    assert (outcome.writes, outcome.events, outcome.root_hash, outcome.artifact, outcome.returned) == (
        {}, (), None, None, None,
    )  # fmt: skip


def test_changes_without_a_commit_are_dropped_and_logged() -> None:
    code = guest(
        f"{KEY} (drop (call $storage_write (i64.const 0) (i64.const 0) (i64.const 2)))"
        "(call $return (i64.const 1024) (i64.const 1))",
        data=KEY_BYTES,
    )
    outcome = run(code)
    assert (outcome.failure, outcome.returned, outcome.writes) == (None, b"k", {})
    assert outcome.logs == ("storage changes without a commit were dropped",)


def test_random_bytes_fill_the_buffer_anew_each_time() -> None:
    code = guest(
        f"{buffer(4096, 32)} (call $random_bytes (i64.const 0)) (call $return (i64.const 4096) (i64.const 32))"
    )
    first, second = run(code).returned, run(code).returned
    assert first != second
    assert first is not None
    assert len(first) == 32


def test_time_now_is_the_time_of_the_invocation_in_nanoseconds() -> None:
    code = guest(f"{buffer(4096, 8)} (call $time_now (i64.const 0)) (call $number (i64.load (i32.const 4096)))")
    assert number(run(code)) == AT * 1_000_000


def _verify(data: bytes, size: int) -> bytes:
    return guest(
        buffer(1024, 64) + buffer(1088, 32, slot=16) + buffer(1120, size, slot=32) + "(call $number (i64.extend_i32_u"
        "(call $ed25519_verify (i64.const 0) (i64.const 16) (i64.const 32))))",
        data=data,
    )


def test_ed25519_verify_tells_good_signatures_from_bad_ones() -> None:
    key = SigningKey(b"s" * 32)
    public, signature = bytes(key.verify_key), key.sign(b"message").signature
    assert number(run(_verify(signature + public + b"message", 7))) == 1
    assert number(run(_verify(signature + public + b"massage", 7))) == 0
    assert number(run(_verify(bytes([signature[0] ^ 1]) + signature[1:] + public + b"message", 7))) == 0


def test_ed25519_verify_ends_the_run_on_a_bad_key() -> None:
    assert run(_verify(b"\0" * 64 + b"\0" * 32 + b"message", 7)).failure == "incorrect ed25519 public key"


def test_members_are_known_to_the_guest() -> None:
    one, two = PublicKey(b"\x01" * 32), PublicKey(b"\x02" * 32)
    call = invocation(members=(one, two))
    listed = guest("(call $context_members (i64.const 0)) (call $give (i64.const 0))")
    assert run(listed, call).returned == b"\x02\0\0\0" + one + two
    assert run(listed).returned == b"\0\0\0\0"
    asked = "(call $number (i64.extend_i32_u (call $context_is_member (i64.const 0))))"
    assert number(run(guest(KEY + asked, data=bytes(two)), call)) == 1
    assert number(run(guest(KEY + asked, data=b"\x03" * 32), call)) == 0


def test_fetch_is_off_and_says_so() -> None:
    arguments = "(i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 4)"
    code = guest(
        f"(if (i32.ne (call $fetch {arguments}) (i32.const 1)) (then (unreachable))) (call $give (i64.const 4))"
    )
    assert run(code).returned == b"fetch is disabled"
