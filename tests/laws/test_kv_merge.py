"""Replicas of the sample application agree, in whatever order and however often changes arrive."""

from collections.abc import Sequence

from hypothesis import given, settings, strategies as st
from tests.kv_replica import Replica, artifact, error_value

KEYS = st.sampled_from(["a", "b", "é", ""])
VALUES = st.sampled_from(["", "1", "2", "😀"])
REPLICAS = 3
CHANGE = st.tuples(st.integers(0, REPLICAS - 1), KEYS, st.none() | VALUES)
DELIVERY = st.tuples(st.integers(0, REPLICAS - 1), st.integers(0, 30))
STEPS = st.lists(CHANGE | DELIVERY, max_size=16)


def play(steps: Sequence[tuple[int, str, str | None] | tuple[int, int]]) -> tuple[list[Replica], list[bytes]]:
    """Change and deliver as the steps say; the replicas as they are then, and all artifacts."""
    replicas = [Replica(author + 1) for author in range(REPLICAS)]
    artifacts = [artifact(replicas[0].call("init"))]
    for step in steps:
        replica = replicas[step[0]]
        if len(step) == 2:
            replica.merge(artifacts[step[1] % len(artifacts)])
            continue
        _, key, value = step
        outcome = replica.call("remove", key=key) if value is None else replica.call("set", key=key, value=value)
        if outcome.artifact is not None:
            artifacts.append(outcome.artifact)
    return replicas, artifacts


def joined(*artifacts: bytes) -> bytes:
    """One artifact with the versions of several (version byte, count u32, versions)."""
    count = sum(int.from_bytes(item[1:5], "little") for item in artifacts)
    return b"\x01" + count.to_bytes(4, "little") + b"".join(item[5:] for item in artifacts)


@settings(deadline=None, max_examples=150)
@given(steps=STEPS, data=st.data())
def test_any_order_duplicates_and_interleavings_give_equal_states(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    replicas, artifacts = play(steps)
    replicas.append(Replica(9))  # one that joins late
    for replica in replicas:
        order = data.draw(st.permutations(artifacts))
        again = data.draw(st.lists(st.sampled_from(artifacts), max_size=4))
        for item in [*again, *order]:
            assert replica.merge(item).failure is None
    assert len({replica.root for replica in replicas}) == 1
    assert len({str(list(replica.value("entries").items())) for replica in replicas}) == 1
    assert {replica.value("len") for replica in replicas} == {len(replicas[0].value("entries"))}


@settings(deadline=None, max_examples=100)
@given(steps=STEPS)
def test_merging_again_changes_nothing(steps: list[tuple[int, int]]) -> None:
    _, artifacts = play(steps)
    late = Replica(9)
    for item in artifacts:
        late.merge(item)
    before, root = dict(late.state), late.root
    for item in reversed(artifacts):
        late.merge(item)
    assert (late.state, late.root) == (before, root)


@settings(deadline=None, max_examples=100)
@given(steps=STEPS, cut=st.integers(0, 20))
def test_artifacts_may_be_joined_in_any_grouping(steps: list[tuple[int, int]], cut: int) -> None:
    _, artifacts = play(steps)
    one, two, three = Replica(7), Replica(8), Replica(9)
    for item in artifacts:
        one.merge(item)
    two.merge(joined(*artifacts))
    three.merge(joined(*artifacts[cut:]))
    three.merge(joined(*artifacts[:cut]))
    assert one.root == two.root == three.root
    assert one.value("entries") == two.value("entries") == three.value("entries")


@settings(deadline=None, max_examples=100)
@given(steps=STEPS)
def test_the_root_tells_states_apart(steps: list[tuple[int, int]]) -> None:
    replicas, artifacts = play(steps)
    replica = replicas[0]
    for item in artifacts:
        replica.merge(item)
    before, entries = replica.root, replica.value("entries")
    replica.call("set", key="a", value="other")
    assert replica.root != before
    if "a" in entries:
        replica.call("set", key="a", value=entries["a"])
    else:
        replica.call("remove", key="a")
    assert replica.value("entries") == entries
    assert replica.root != before  # the same values by other versions


@settings(deadline=None, max_examples=150)
@given(steps=STEPS.filter(bool), data=st.data())
def test_a_damaged_artifact_is_refused_or_merged_whole(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    replicas, artifacts = play(steps)
    good = data.draw(st.sampled_from(artifacts))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = data.draw(
        st.sampled_from([good[:at], good + b"\0", good[:at] + bytes([good[at] ^ 0x80]) + good[at + 1 :]])
        | st.binary(max_size=80)
    )
    replica = replicas[-1]
    before, root = dict(replica.state), replica.root
    outcome = replica.merge(bad)
    if outcome.failure is not None:
        assert error_value(outcome)["kind"] == "BadArtifact"
        assert (replica.state, replica.root) == (before, root)
    else:
        assert outcome.root_hash is not None
        replica.value("entries")


def test_a_change_made_after_seeing_another_wins_whoever_made_it() -> None:
    low, high = Replica(1), Replica(200)
    low.merge(artifact(high.call("set", key="k", value="z")))
    high.merge(artifact(low.call("set", key="k", value="a")))
    assert low.value("get", key="k") == high.value("get", key="k") == "a"
    assert low.root == high.root


def test_of_concurrent_changes_the_same_one_wins_everywhere() -> None:
    low, high = Replica(1), Replica(200)
    from_low = artifact(low.call("set", key="k", value="low"))
    from_high = artifact(high.call("set", key="k", value="high"))
    low.merge(from_high)
    high.merge(from_low)
    assert low.value("get", key="k") == high.value("get", key="k") == "high"
    assert low.root == high.root


def test_a_late_older_version_does_not_bring_a_removed_key_back() -> None:
    one, two = Replica(1), Replica(2)
    written = artifact(one.call("set", key="k", value="v"))
    two.merge(artifact(one.call("remove", key="k")))
    two.merge(written)
    assert two.value("get", key="k") is None
    assert two.value("len") == 0


def test_two_versions_with_one_stamp_are_settled_by_their_content() -> None:
    one, twin, other = Replica(1), Replica(1), Replica(2)
    a, b = (artifact(replica.call("set", key="k", value=text)) for replica, text in ((one, "a"), (twin, "b")))
    one.merge(b)
    twin.merge(a)
    other.merge(b)
    other.merge(a)
    assert one.value("get", key="k") == twin.value("get", key="k") == other.value("get", key="k") == "b"
    assert one.root == twin.root == other.root


def test_a_removal_and_an_empty_value_with_one_stamp_are_settled_too() -> None:
    one, twin = Replica(1), Replica(1)
    for replica in (one, twin):
        replica.call("set", key="k", value="v")
    removed = artifact(one.call("remove", key="k"))
    emptied = artifact(twin.call("set", key="k", value=""))
    one.merge(emptied)
    twin.merge(removed)
    assert one.value("entries") == twin.value("entries") == {"k": ""}
    assert one.root == twin.root
