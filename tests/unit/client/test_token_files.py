"""The token file that is shared with merobox, and the registry of meroctl."""

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.wire_server import unsigned_jwt

from meroid.client.address import NodeAddress
from meroid.client.failures import BadClientFileError
from meroid.client.node_tokens import NodeTokens
from meroid.client.registry import NodeNameTakenError, NodeRegistry, RegisteredNode, UnknownNodeError
from meroid.client.token_cache import TokenCache, cache_file_name
from meroid.client.tokens import TokenPair, claims_of
from meroid.client.toml_text import toml_text

PAIR = TokenPair(access_token="a", refresh_token="r")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "file"),
    [("calimero-node-1", "calimero-node-1-76103d3f65af.json"), ("n1", "n1-676b8bb84ce7.json")],
)
def test_file_names_are_those_of_the_wire(name: str, file: str) -> None:
    assert cache_file_name(name) == file


@pytest.mark.parametrize("name", ["", "../../../etc/passwd", "https://node.example/", "\U0001f600", "x" * 400])
def test_any_node_name_gives_a_short_file_name_inside_the_folder(name: str) -> None:
    file = cache_file_name(name)

    assert "/" not in file
    assert len(file) < 100
    assert file == cache_file_name(name)


def test_keys_of_other_writers_survive_and_the_expiry_is_filled_in(tmp_path: Path) -> None:
    cache = TokenCache("n1", folder=tmp_path / "auth_cache")
    cache.path.parent.mkdir(mode=0o700)
    theirs = {"access_token": "x", "node_url": "http://localhost:2528", "auth_method": "user_password", "username": "u"}
    cache.path.write_text(json.dumps(theirs))

    cache.save(TokenPair.checked(unsigned_jwt(exp=123), "r"))

    kept = json.loads(cache.path.read_text())
    assert {key: kept[key] for key in ("node_url", "auth_method", "username")} == {
        key: theirs[key] for key in ("node_url", "auth_method", "username")
    }
    assert kept["expires_at"] == 123
    assert kept["token_type"] == "Bearer"
    assert cache.load() == TokenPair(access_token=kept["access_token"], refresh_token="r", expires_at=123)


def test_token_files_and_their_folder_belong_to_their_owner_only(tmp_path: Path) -> None:
    cache = TokenCache("n1", folder=tmp_path / "auth_cache")

    cache.save(PAIR)

    assert _mode(cache.path) == 0o600
    assert _mode(cache.path.parent) == 0o700
    assert [path.name for path in cache.path.parent.glob("*.tmp")] == []


def test_a_file_that_another_program_changed_is_read_again(tmp_path: Path) -> None:
    cache = TokenCache("n1", folder=tmp_path)
    cache.save(PAIR)
    assert cache.load() == PAIR

    TokenCache("n1", folder=tmp_path).save(TokenPair(access_token="b"))

    assert cache.load() == TokenPair(access_token="b")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"access_token": 7}', '{"access_token": "a\\r\\nb"}', "[" * 90_000]
)
def test_a_corrupt_token_file_is_refused_with_advice(tmp_path: Path, content: str) -> None:
    cache = TokenCache("n1", folder=tmp_path)
    cache.path.write_text(content)

    if content == "{}":
        assert cache.load() is None
        return
    with pytest.raises(BadClientFileError) as caught:
        cache.load()

    assert "log in again" in caught.value.next_step


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadClientFileError, match="can't be written"):
        TokenCache("n1", folder=tmp_path / "file" / "below").save(PAIR)


def test_tokens_never_show_in_a_repr() -> None:
    assert "secret" not in repr(TokenPair(access_token="secret1", refresh_token="secret2"))


@pytest.mark.parametrize("token", ["", "a.b", "a.!!!.c", "a.WzFd.c", "...", "a." + "b" * 9 + ".c"])
def test_what_is_no_jwt_has_no_claims(token: str) -> None:
    assert claims_of(token) == {}


# --- the registry


def _node(name: str, **facts: Any) -> RegisteredNode:
    return RegisteredNode(**{"name": name, "url": "http://a.example/", "home": None, "tokens": None, **facts})


def test_nodes_are_added_used_found_and_removed(tmp_path: Path) -> None:
    registry = NodeRegistry(tmp_path / "meroctl" / "nodes.toml")

    registry.add(_node("n1"))
    registry.add(_node("my node", url=None, home=Path("/srv/nodes"), tokens=PAIR))
    registry.use("my node")

    assert registry.active() == "my node"
    assert [node.name for node in registry.all()] == ["my node", "n1"]
    assert registry.find("my node") == _node("my node", url=None, home=Path("/srv/nodes"), tokens=PAIR)
    assert _mode(registry.path) == 0o600
    assert registry.add(_node("n1")) is False
    with pytest.raises(NodeNameTakenError):
        registry.add(_node("n1", url="http://127.0.0.1:1"))
    registry.remove("my node")
    assert registry.active() is None
    with pytest.raises(UnknownNodeError):
        registry.remove("my node")
    with pytest.raises(UnknownNodeError):
        registry.use("my node")


def test_unknown_keys_of_the_registry_survive(tmp_path: Path) -> None:
    path = tmp_path / "nodes.toml"
    path.write_text('future = [1, 2]\n[nodes.n1]\nurl = "http://a.example/"\nnote = "mine"\n[other]\nx = 1.5\n')

    NodeRegistry(path).keep_tokens("n1", PAIR)

    document = tomllib.loads(path.read_text())
    assert document["future"] == [1, 2]
    assert document["other"] == {"x": 1.5}
    assert document["nodes"]["n1"] == {
        "url": "http://a.example/",
        "note": "mine",
        "jwt_tokens": {"access_token": "a", "refresh_token": "r"},
    }


@pytest.mark.parametrize("content", ["[", "nodes = 3", "[nodes]\nn1 = 3", "[nodes.n1]\nx = 1", "\x00"])
def test_a_corrupt_registry_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nodes.toml"
    path.write_text(content)

    with pytest.raises((BadClientFileError, UnknownNodeError)):
        NodeRegistry(path).all()

    assert path.read_text() == content


def test_both_places_get_the_tokens_of_a_log_in_and_lose_them_together(tmp_path: Path) -> None:
    registry = NodeRegistry(tmp_path / "nodes.toml")
    registry.add(_node("n1", url="http://127.0.0.1:2528/"))
    cache = TokenCache("n1", folder=tmp_path)
    address = NodeAddress.parse("http://127.0.0.1:2528")
    tokens = NodeTokens(cache, address=address, registry=registry, name="n1")

    tokens.save_login(PAIR, username="ann")

    content = json.loads(cache.path.read_text())
    assert (content["node_url"], content["username"], content["auth_method"]) == (
        "http://127.0.0.1:2528",
        "ann",
        "user_password",
    )
    assert registry.find("n1") == _node("n1", url="http://127.0.0.1:2528/", tokens=PAIR)
    assert tokens.clear()
    assert tokens.load() is None
    assert not tokens.clear()


def test_tokens_of_one_address_are_not_sent_to_another(tmp_path: Path) -> None:
    cache = TokenCache("n1", folder=tmp_path)
    cache.save(PAIR, facts={"node_url": "http://a.example"})

    assert NodeTokens(cache, address=NodeAddress.parse("http://a.example/x")).load() == PAIR
    assert NodeTokens(cache, address=NodeAddress.parse("http://evil.example")).load() is None


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dates(),
    st.datetimes(),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TABLES = st.recursive(
    st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=4),
    lambda inner: st.dictionaries(KEYS, st.one_of(SCALARS, inner, st.lists(inner, max_size=2)), max_size=3),
    max_leaves=8,
)


@given(TABLES)
def test_what_is_written_as_toml_reads_back_the_same(document: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(document)) == document
