"""P10, on real processes: log-outs, service tokens and rotations of the signing key hold over restarts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes import Merod, Owner, initialise, start, stop, stopped

OWNER = Owner("olga", "a password of olga's")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Merod]:
    made = Merod("owned-node", tmp_path, owner=OWNER)
    initialise(made)
    start(made)
    yield made
    stop(made)
    assert "Traceback" not in made.log, made.log


def state(node: Merod, token: str) -> str:
    got = node.ask("GET", "/admin-api/is-authed", token=token)
    return "good" if got.status == 200 else str(got.code)


def published(node: Merod) -> list[str]:
    return [each["kid"] for each in node.ask("GET", "/auth/jwks.json").json["keys"]]


def test_what_ended_stays_so_and_what_is_good_goes_on(node: Merod) -> None:
    pair = node.pair()
    node.token = pair["access_token"]
    wanted = {"name": "nightly", "permissions": ["context:list"], "expires_in": 90 * 86_400}
    service, revoked = (node.data("POST", "/admin/client-key", wanted) for _ in range(2))
    node.data("POST", "/admin/revoke", {"client_id": revoked["client_id"]})
    left = node.pair()
    got = node.ask("POST", "/auth/logout", {"refresh_token": left["refresh_token"]}, token=left["access_token"])
    assert got.status == 200
    (old,) = published(node)

    with stopped(node):
        assert old in node.merod("keys", "rotate-signing").out

    assert published(node)[1:] == [old]
    tokens = [each["access_token"] for each in (pair, service, revoked, left)]
    assert [state(node, each) for each in tokens] == ["good", "good", "token_revoked", "token_revoked"]
    renewed = node.data("POST", "/auth/refresh", {name: pair[name] for name in ("access_token", "refresh_token")})
    assert state(node, renewed["access_token"]) == "good"

    with stopped(node):
        node.merod("keys", "rotate-signing", "--now", ends_with=1)
        node.merod("keys", "rotate-signing", "--now", "--yes")

    assert len(published(node)) == 1
    assert {state(node, each) for each in (*tokens, renewed["access_token"])} == {"invalid_token"}
    assert state(node, node.pair()["access_token"]) == "good"
