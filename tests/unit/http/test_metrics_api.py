"""Numbers that count: read by Prometheus and in the wire's shape, over all workers; and who may read them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.served_node import PASSWORD, ServedNode, network, served_node

from meroid.client.proof_key import ProofKey
from meroid.clock import SystemClock
from meroid.http.tally import NO_ROUTE, VALIDATE, Tally

MS = 1_000_000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as net, served_node(tmp_path_factory.mktemp("node"), net, mode="embedded") as made:
        yield made


def sample(node: ServedNode, name: str, **labels: str) -> float:
    got = node.server.ask("GET", "/metrics")
    assert got.status == 200, got.text
    for family in text_string_to_metric_families(got.text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return float(each.value)
    return 0.0


def log_in(node: ServedNode, password: str) -> int:
    return node.server.ask("POST", "/auth/token", login_body(password)).status


def login_body(password: str) -> dict[str, object]:
    proof = {"username": "alice", "password": password}
    body = {"auth_method": "user_password", "public_key": "alice", "client_name": "x", "timestamp": 0}
    return {**body, "provider_data": proof}


def test_what_is_done_is_counted_where_it_is_done(node: ServedNode) -> None:
    wanted: dict[str, Callable[[], float]] = {
        "log-ins": lambda: sample(node, "meroid_logins_total", method="user_password", outcome="wrong_credentials"),
        "mints": lambda: sample(node, "meroid_tokens_total", action="mint", outcome="ok"),
        "good": lambda: sample(node, "meroid_validations_total", verdict="ok"),
        "bad": lambda: sample(node, "meroid_validations_total", verdict="invalid_token"),
        "asked": lambda: sample(
            node, "meroid_http_request_duration_seconds_count", route="/admin-api/contexts/{context_id}", status="4xx"
        ),
        "lost": lambda: sample(node, "meroid_http_request_duration_seconds_count", route=NO_ROUTE, status="4xx"),
        "events": lambda: sample(node, "meroid_audit_events_total", action="token.mint", outcome="ok"),
    }
    before = {name: count() for name, count in wanted.items()}
    assert log_in(node, "a wrong one") == 401
    node.mint("context:list")
    node.ask("GET", "/auth/validate")
    node.ask("GET", "/auth/validate", token="nonsense")
    for each in ("a", "b", "c"):
        node.ask("GET", f"contexts/{each}")
        node.ask("GET", f"/made-up-{each}")
    grown = {name: count() - before[name] for name, count in wanted.items()}
    assert grown == {"log-ins": 1, "mints": 1, "good": 1, "bad": 1, "asked": 3, "lost": 3, "events": 1}


def test_the_build_and_the_process_are_named(node: ServedNode) -> None:
    assert sample(node, "meroid_build_info") == 1
    assert sample(node, "process_resident_memory_bytes") > 1_000_000


def test_the_numbers_of_the_wire_are_true(node: ServedNode) -> None:
    before = node.data("GET", "/admin/metrics")
    assert (log_in(node, PASSWORD), log_in(node, "a wrong one")) == (200, 401)
    after = node.data("GET", "/admin/metrics")
    assert set(after) == {
        "auth_attempts", "auth_successes", "auth_failures", "auth_success_rate", "auth_avg_duration_ms",
        "auth_failures_by_type", "token_refreshes", "token_revocations",
    }  # fmt: skip
    assert (after["auth_attempts"] - before["auth_attempts"], after["auth_successes"] - before["auth_successes"]) == (
        2,
        1,
    )
    assert after["auth_failures_by_type"]["wrong_credentials"] == after["auth_failures"]
    assert 0 < after["auth_success_rate"] < 1
    assert after["auth_avg_duration_ms"] > 0


def test_who_comes_through_a_proxy_needs_a_token_with_admin(node: ServedNode) -> None:
    through = {"X-Forwarded-For": "203.0.113.7"}
    assert node.server.ask("GET", "/metrics", headers=through).code == "missing_token"
    assert node.ask("GET", "/metrics", headers=through, token=node.mint("context:list")).code == "permission_denied"
    assert node.ask("GET", "/metrics", headers=through).status == 200
    assert node.ask("GET", "/admin/metrics", token=node.mint("keys:list")).code == "permission_denied"


def test_workers_add_up_and_one_that_ended_still_counts(tmp_path: Path) -> None:
    routes = ["/a", VALIDATE]
    one, two = Tally(routes, tmp_path), Tally(routes, tmp_path)
    one.count("/a", 200, 3 * MS, ())
    two.count("/a", 200, 70 * MS, ())
    two.count("/a", 404, 20_000 * MS, ())
    two.count("/b", 200, 1, ())
    two.count(VALIDATE, 401, 1, (("X-Meroid-Code", "token_revoked"),))
    del two
    good, bad, lost, _ = sorted(one.timed(), key=lambda each: (each.route != "/a", each.status, each.route))[:4]
    assert (good.route, good.status, good.count, good.seconds) == ("/a", "2xx", 2, 0.073)
    assert (bad.status, bad.buckets[-1]) == ("4xx", 1)
    assert (lost.route, lost.count) == (NO_ROUTE, 1)
    assert one.verdicts()["token_revoked"] == 1


def test_another_layout_and_an_unfinished_file_are_passed_over(tmp_path: Path) -> None:
    one = Tally(["/a"], tmp_path)
    Tally(["/a", "/b"], tmp_path).count("/a", 200, 1, ())
    next(tmp_path.glob("*")).with_name(f"1-x.{one._layout}.cells").write_bytes(b"")
    one.count("/a", 200, 1, ())
    (counted,) = one.timed()
    assert counted.count == 1
    assert replace(counted, seconds=0).seconds == 0


def test_nginx_that_was_told_nothing_makes_nobody_direct(node: ServedNode) -> None:
    asked = f"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:{node.server.port}\r\nConnection: close\r\n\r\n"
    assert node.server.raw(asked.encode(), linger=True).startswith(b"HTTP/1.1 401 ")


def test_a_bound_token_reads_them_with_its_key(node: ServedNode) -> None:
    key, address = ProofKey.new(), f"http://127.0.0.1:{node.server.port}"

    def proof(method: str, path: str, token: str | None = None) -> dict[str, str]:
        return {"DPoP": key.prove(method, address + path, SystemClock().now_ms(), token=token)}

    got = node.server.ask("POST", "/auth/token", login_body(PASSWORD), proof("POST", "/auth/token"))
    token, through = got.json["data"]["access_token"], {"X-Forwarded-For": "203.0.113.7"}
    assert node.ask("GET", "/metrics", headers=through, token=token).code == "proof_required"
    with_proof = {**through, **proof("GET", "/metrics", token)}
    assert node.ask("GET", "/metrics", headers=with_proof, token=token).status == 200
