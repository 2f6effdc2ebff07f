"""What one process of the auth service alone answers: its routes, its ways to log in, its bounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers import Running, running

from meroid.app import AuthService
from meroid.app.vaulted import unlock
from meroid.config import load_standalone
from meroid.custody.starting import take_store_key


@contextmanager
def served(folder: Path, **environ: str) -> Iterator[tuple[AuthService, Running]]:
    settings = load_standalone(None, {"MERO_AUTH__STORAGE__PATH": str(folder / "auth"), **environ})
    service = AuthService(settings, unlock(settings, *take_store_key(settings, make=True)))
    try:
        service.prepare()
        with running(service.application) as server:
            yield service, server
    finally:
        service.application.close()
        service.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with served(tmp_path_factory.mktemp("auth")) as (_, answering):
        yield answering


def test_it_has_the_routes_of_auth_and_admin_and_none_of_a_node(server: Running) -> None:
    assert server.ask("GET", "/health/ready").status == 200
    assert server.ask("GET", "/auth/health").status == 200
    assert server.ask("GET", "/admin/keys").status == 401
    for path in ("/admin-api/health", "/admin-api/contexts", "/jsonrpc", "/ws"):
        assert server.ask("GET", path).status == 404


def test_a_way_to_log_in_that_is_switched_off_is_neither_shown_nor_taken(tmp_path: Path) -> None:
    with served(tmp_path, MERO_AUTH__PROVIDERS__USER_PASSWORD="false") as (_, server):
        names = [each["name"] for each in server.ask("GET", "/auth/providers").json["data"]["providers"]]
        proof = {"username": "olga", "password": "correct horse battery"}
        body = {"auth_method": "user_password", "public_key": "olga", "client_name": "t", "timestamp": 0}
        refused = server.ask("POST", "/auth/token", {**body, "provider_data": proof})

    assert "user_password" not in names
    assert "near_wallet" in names
    assert (refused.status, refused.code) == (401, "unsupported_method")


def test_a_body_is_bounded_as_the_settings_say(tmp_path: Path) -> None:
    with served(tmp_path, MERO_AUTH__SECURITY__MAX_BODY_SIZE="2048") as (_, server):
        assert server.ask("POST", "/auth/refresh", {"access_token": "a" * 2048, "refresh_token": "b"}).status == 413


def test_without_an_origin_that_is_allowed_no_page_may_read(tmp_path: Path) -> None:
    with served(tmp_path, MERO_AUTH__CORS__ALLOW_ALL_ORIGINS="false") as (_, server):
        answer = server.ask("GET", "/auth/health", headers={"Origin": "https://app.example"})

    assert "access-control-allow-origin" not in answer.headers


def test_housekeeping_forgets_what_has_ended(tmp_path: Path) -> None:
    with served(tmp_path) as (service, _):
        at = service.clock.now_ms()
        service.store.write(lambda tx: tx.auth.use_challenge(b"n" * 32, expires_at=at))

        service.auth.forget_ended(at + 3_600_000)

        assert not service.store.read(lambda tx: tx.auth.is_challenge_used(b"n" * 32))


def test_what_is_refused_comes_into_the_audit_trail(tmp_path: Path) -> None:
    with served(tmp_path, MERO_AUTH__PROVIDERS__PASSKEY="false") as (service, server):
        proof = {"username": "olga", "password": "correct horse battery"}
        body = {"auth_method": "user_password", "public_key": "olga", "client_name": "t", "timestamp": 0}
        assert server.ask("POST", "/auth/token", {**body, "provider_data": proof}).status == 200
        wrong = {**proof, "password": "wrong horse battery"}
        assert server.ask("POST", "/auth/token", {**body, "provider_data": wrong}).status == 401

        service.auth.recording.close()

        counted = service.store.read(lambda tx: tx.audit.counts())
        assert "wrong_credentials" in {each.outcome for each in counted}
