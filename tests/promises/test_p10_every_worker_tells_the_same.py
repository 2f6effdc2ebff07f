"""P10 with several workers: a token means the same on each, and what one has ended is over on all, also after a kill."""

import base64
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from tests.mero_auth import OWNER, MeroAuth
from tests.processes import Owner, eventually


def claims(token: str) -> Any:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


@pytest.fixture(scope="module")
def auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeroAuth]:
    service = MeroAuth(tmp_path_factory.mktemp("auth"), workers=3)
    service.initialise()
    service.start()
    try:
        yield service
    finally:
        service.stop()


def test_a_log_in_of_one_worker_holds_on_the_others_and_ends_on_all(auth: MeroAuth) -> None:
    with auth.only(0):
        first = auth.log_in()
    with auth.only(1):
        assert auth.ask("GET", "/auth/validate", token=first["access_token"]).status == 200
        pair = {each: first[each] for each in ("access_token", "refresh_token")}
        second = auth.ask("POST", "/auth/refresh", pair).json["data"]
    with auth.only(2):
        again = auth.ask("POST", "/auth/refresh", pair).json["data"]
        assert claims(again["refresh_token"])["jti"] == claims(second["refresh_token"])["jti"]
        minted = auth.mint(second["access_token"])
    for worker in (0, 1, 2):
        with auth.only(worker):
            assert auth.ask("GET", "/auth/validate", token=minted["access_token"]).status == 200

    with auth.only(0):
        gone = {"client_id": claims(minted["access_token"])["sub"]}
        assert auth.ask("POST", "/admin/revoke", gone, token=second["access_token"]).status == 200
        assert auth.ask("POST", "/auth/logout", token=second["access_token"]).status == 200

    for worker in (1, 2, 0):
        with auth.only(worker):
            for token in (minted["access_token"], second["access_token"]):
                refused = auth.ask("GET", "/auth/validate", token=token)
                assert (refused.status, refused.headers["x-auth-error"]) == (401, "token_revoked")


def test_failed_log_ins_are_counted_over_all_workers(auth: MeroAuth) -> None:
    wrong = Owner("nobody", "wrong horse battery")
    for number in range(5):
        with auth.only(number % 3):
            assert auth.try_log_in(wrong).status == 401

    with auth.only(2):
        assert auth.try_log_in(wrong).status == 429


def test_keys_that_are_minted_side_by_side_have_ids_of_their_own(auth: MeroAuth) -> None:
    access = auth.log_in()["access_token"]
    with ThreadPoolExecutor(8) as pool:
        minted = list(pool.map(lambda _: auth.mint(access), range(48)))

    assert len({claims(pair["access_token"])["sub"] for pair in minted}) == 48
    assert len({claims(pair["access_token"])["jti"] for pair in minted}) == 48


def test_no_token_is_bound_to_a_client_key_that_the_service_does_not_hold(auth: MeroAuth) -> None:
    access = auth.log_in()["access_token"]
    wanted = {"context_id": "1" * 32, "context_identity": "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM"}

    refused = auth.ask("POST", "/admin/client-key", wanted, token=access)

    assert (refused.status, refused.code) == (409, "binding_uncheckable")


def revoke_while(auth: MeroAuth, tokens: list[str], admin: str, meanwhile: Callable[[], object]) -> list[str]:
    """Revoke all of them on four connections at a time; the ones whose revocation was acknowledged."""
    acknowledged: list[str] = []
    begun = threading.Event()

    def revoke(token: str) -> None:
        try:
            got = auth.ask("POST", "/admin/revoke", {"client_id": claims(token)["sub"]}, token=admin)
        except (OSError, HTTPException):
            return  # the answer was lost: it may have happened or not
        assert got.status == 200, got.text
        acknowledged.append(token)
        if len(acknowledged) >= 8:
            begun.set()

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(revoke, token) for token in tokens]
        assert begun.wait(20)
        meanwhile()
        for each in waiting:
            each.result()
    return acknowledged


def test_a_killed_worker_loses_no_revocation_and_is_replaced(auth: MeroAuth) -> None:
    admin = auth.log_in()["access_token"]
    tokens = [auth.mint(admin)["access_token"] for _ in range(48)]
    killed = auth.pids[1]

    acknowledged = revoke_while(auth, tokens, admin, lambda: os.kill(killed, signal.SIGKILL))

    assert len(acknowledged) >= len(tokens) - 4
    for token in acknowledged:
        assert auth.ask("GET", "/auth/validate", token=token).headers["x-auth-error"] == "token_revoked"
    eventually(lambda: auth.pids[1] != killed, "another worker takes its place")
    with auth.only(1):
        assert auth.ask("GET", "/auth/validate", token=acknowledged[0]).status == 401
    assert '"ended_by": "signal 9"' in auth.log


def test_a_service_that_is_killed_whole_loses_no_revocation(auth: MeroAuth) -> None:
    admin = auth.log_in()["access_token"]
    tokens = [auth.mint(admin)["access_token"] for _ in range(48)]

    acknowledged = revoke_while(auth, tokens, admin, auth.kill_all)
    auth.start()

    assert len(acknowledged) < len(tokens)
    for token in acknowledged:
        assert auth.ask("GET", "/auth/validate", token=token).headers["x-auth-error"] == "token_revoked"
    assert auth.ask("GET", "/auth/validate", token=admin).status == 200


def test_workers_end_with_the_process_that_looks_after_them(auth: MeroAuth) -> None:
    workers = list(auth.pids.values())
    auth.kill_parent()

    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "no worker is left")
    auth.start()


def test_of_several_who_claim_an_empty_service_one_becomes_the_owner(tmp_path: Path) -> None:
    service = MeroAuth(tmp_path, workers=3, owner=None)
    service.initialise()
    service.start()
    try:
        people = [Owner(f"person{number}", "correct horse battery") for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            got = list(pool.map(service.try_log_in, people))

        (winner,) = [each for each in got if each.status == 200]
        keys = service.ask("GET", "/admin/keys", token=winner.json["data"]["access_token"]).json["data"]
        assert [each["permissions"] for each in keys] == [["admin"]]
        assert not (tmp_path / "auth" / "setup-code").exists()
    finally:
        service.stop()


def test_one_worker_is_one_process_that_serves_and_ends_well(tmp_path: Path) -> None:
    service = MeroAuth(tmp_path, workers=1)
    service.initialise()
    service.start()
    try:
        access = service.log_in(OWNER)["access_token"]
        assert service.ask("GET", "/admin/identity", token=access).status == 200
        assert service.pids == {}
    finally:
        service.stop()
    assert service.command("check").code == 0
