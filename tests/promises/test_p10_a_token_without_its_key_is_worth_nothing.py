"""P10, on real processes: bound tokens need their key, what ended is published, tabs refresh side by side, atob reads all."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.processes import Merod, Owner, eventually, initialise, start, stop
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from meroid.auth.dpop import Shown, Target
from meroid.auth.offline import OfflineVerifier
from meroid.auth.tokens import TokenRevokedError
from meroid.client.proof_key import ProofKey
from meroid.client.tokens import claims_of
from meroid.clock import SystemClock

OWNER = Owner("olga", "a password of olga's")
AUTHED = "/admin-api/is-authed"

_READ = """
const {keys, tokens} = JSON.parse(require("fs").readFileSync(0));
const crypto = require("crypto");
process.stdout.write(JSON.stringify(tokens.map(token => {
  const [head, body, signature] = token.split(".");
  const {kid} = JSON.parse(Buffer.from(head, "base64url"));
  const key = crypto.createPublicKey({key: keys.find(each => each.kid === kid), format: "jwk"});
  if (!crypto.verify(null, Buffer.from(head + "." + body), key, Buffer.from(signature, "base64url"))) throw "forged";
  return JSON.parse(atob(body));
})));
"""
_PROVE = """
const {method, url, token} = JSON.parse(require("fs").readFileSync(0));
const {subtle} = require("crypto").webcrypto, base64 = raw => Buffer.from(raw).toString("base64url");
(async () => {
  const pair = await subtle.generateKey({name: "ECDSA", namedCurve: "P-256"}, false, ["sign", "verify"]);
  const {kty, crv, x, y} = await subtle.exportKey("jwk", pair.publicKey);
  const prove = async (htm, htu, token) => {
    const ath = token && base64(await subtle.digest("SHA-256", Buffer.from(token)));
    const claims = {jti: crypto.randomUUID(), htm, htu, iat: Math.floor(Date.now() / 1000), ath};
    const parts = [{typ: "dpop+jwt", alg: "ES256", jwk: {kty, crv, x, y}}, claims].map(each => base64(JSON.stringify(each)));
    const signature = await subtle.sign({name: "ECDSA", hash: "SHA-256"}, pair.privateKey, Buffer.from(parts.join(".")));
    return [...parts, base64(signature)].join(".");
  };
  process.stdout.write(JSON.stringify(await prove(method, url, token)));
})();
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Merod]:
    made = Merod("owned-node", tmp_path_factory.mktemp("p10"), owner=OWNER)
    initialise(made)
    start(made)
    yield made
    stop(made)
    assert "Traceback" not in made.log, made.log


def run_node(script: str, given: Any) -> Any:
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def log_in(node: Merod, proof: str | None = None) -> Any:
    body = {
        "auth_method": "user_password",
        "public_key": OWNER.name,
        "client_name": node.url,
        "timestamp": 0,
        "provider_data": {"username": OWNER.name, "password": OWNER.password},
    }
    got = node.ask("POST", "/auth/token", body, {} if proof is None else {"DPoP": proof})
    assert got.status == 200, got.text
    return got.json["data"]


def prove(node: Merod, key: ProofKey, method: str, path: str, token: str | None = None) -> str:
    return key.prove(method, f"http://127.0.0.1:{node.port}{path}", SystemClock().now_ms(), token=token)


def test_a_stolen_token_opens_nothing_and_cannot_log_its_owner_out(node: Merod) -> None:
    key, thief = ProofKey.new(), ProofKey.new()
    pair = log_in(node, prove(node, key, "POST", "/auth/token"))
    token = pair["access_token"]

    def asked(proof: str | None, scheme: str = "DPoP") -> tuple[int, str | None]:
        headers = {"Authorization": f"{scheme} {token}"} | ({} if proof is None else {"DPoP": proof})
        got = node.ask("GET", AUTHED, headers=headers)
        if got.status == 401:
            assert got.headers["www-authenticate"].startswith("DPoP error=")
            assert got.headers["x-auth-error"] == got.code
        return got.status, got.code

    once = prove(node, key, "GET", AUTHED, token)
    assert asked(once) == (200, None)
    assert asked(once) == (401, "bad_dpop_proof")
    assert asked(prove(node, key, "GET", AUTHED, token), scheme="Bearer") == (200, None)
    assert asked(None) == asked(None, scheme="Bearer") == (401, "proof_required")
    for other in (
        prove(node, thief, "GET", AUTHED, token),
        prove(node, key, "POST", AUTHED, token),
        prove(node, key, "GET", "/admin-api/contexts", token),
        prove(node, key, "GET", AUTHED, "another"),
        f"{prove(node, key, 'GET', AUTHED, token)}x",
    ):
        assert asked(other) == (401, "bad_dpop_proof")

    for proof in ({}, {"DPoP": prove(node, thief, "POST", "/auth/refresh")}):
        got = node.ask("POST", "/auth/refresh", {k: pair[k] for k in ("access_token", "refresh_token")}, proof)
        assert (got.status, got.code) == (401, "bad_dpop_proof" if proof else "proof_required")
        assert "x-auth-error" not in got.headers
    assert node.ask("POST", "/auth/logout", {"refresh_token": pair["refresh_token"]}).code == "proof_required"
    renewed = node.ask(
        "POST",
        "/auth/refresh",
        {k: pair[k] for k in ("access_token", "refresh_token")},
        {"DPoP": prove(node, key, "POST", "/auth/refresh")},
    )
    assert claims_of(renewed.json["data"]["access_token"])["cnf"] == {"jkt": key.thumbprint}


def test_a_browsers_stream_carries_its_proof_in_the_address_once(node: Merod) -> None:
    key = ProofKey.new()
    token = log_in(node, prove(node, key, "POST", "/auth/token"))["access_token"]
    address = f"ws://127.0.0.1:{node.port}/ws?token={token}"
    with pytest.raises(InvalidStatus), connect(address):
        pass
    with_proof = f"{address}&dpop={prove(node, key, 'GET', '/ws', token)}"
    with connect(with_proof):
        pass
    with pytest.raises(InvalidStatus), connect(with_proof):
        pass


def test_forward_auth_believes_no_stranger_about_the_request(node: Merod) -> None:
    key = ProofKey.new()
    token = log_in(node, prove(node, key, "POST", "/auth/token"))["access_token"]
    forwarded = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/x", "Authorization": f"DPoP {token}"}
    got = node.ask("GET", "/auth/validate", headers={**forwarded, "DPoP": prove(node, key, "GET", "/x", token)})
    assert (got.status, got.code) == (401, "proof_unjudged")
    own = {"Authorization": f"DPoP {token}", "DPoP": prove(node, key, "GET", "/auth/validate", token)}
    assert node.ask("GET", "/auth/validate", headers=own).status == 200
    assert node.ask("GET", "/auth/validate", headers=own).code == "bad_dpop_proof"


def test_the_command_line_keeps_the_key_beside_the_tokens_and_uses_it(node: Merod) -> None:
    password = node.person / "password"
    node.meroctl("login", "--dpop", "--username", OWNER.name, "--password-file", str(password))
    told = json.loads(node.meroctl("--output-format", "json", "whoami").out)
    assert told["bound_to_key"]
    (key,) = (node.person / ".merobox" / "auth_cache").glob("*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    node.meroctl("context", "ls")
    kept = key.rename(key.with_suffix(".gone"))
    assert "proof" in node.meroctl("context", "ls", ends_with=None).err
    kept.rename(key)
    node.meroctl("logout")


def test_who_checks_offline_hears_of_a_log_out(node: Merod) -> None:
    clock = SystemClock()
    pair = log_in(node)
    service = OfflineVerifier(lambda path: node.ask("GET", path).body)
    assert service.verify(pair["access_token"], clock.now_ms()).account_id is not None
    first = node.ask("GET", "/auth/revocations")
    assert first.headers["cache-control"] == "public, max-age=5"
    node.ask("POST", "/auth/logout", {"refresh_token": pair["refresh_token"]}, token=pair["access_token"])

    def refused() -> bool:
        at = clock.now_ms()
        service.refresh(at, within=500)
        try:
            service.verify(pair["access_token"], at)
        except TokenRevokedError:
            return True
        return False

    eventually(refused, "the log-out stands in the feed", within_s=15)
    got = node.ask("GET", "/auth/revocations", headers={"If-None-Match": first.headers["etag"]})
    assert (got.status, got.headers["etag"] != first.headers["etag"]) == (200, True)
    key = ProofKey.new()
    bound = log_in(node, prove(node, key, "POST", "/auth/token"))["access_token"]
    target = Target(method="GET", url="https://api.example/x")
    proof = key.prove("GET", target.url, clock.now_ms(), token=bound)
    assert service.verify(bound, clock.now_ms(), Shown(proof=proof, target=target)).proof_key == key.thumbprint


def test_two_tabs_that_refresh_within_a_second_both_work_on(node: Merod) -> None:
    """Annex B 7."""
    pair = {k: v for k, v in log_in(node).items() if k != "error"}
    with ThreadPoolExecutor(2) as tabs:
        got = [each.json["data"] for each in tabs.map(lambda _: node.ask("POST", "/auth/refresh", pair), range(2))]
    assert len({each["refresh_token"] for each in got}) == 1
    for each in got:
        assert node.ask("GET", AUTHED, token=each["access_token"]).status == 200
        again = {"access_token": each["access_token"], "refresh_token": each["refresh_token"]}
        assert node.ask("POST", "/auth/refresh", again).status == 200


@pytest.mark.needs("node")
def test_every_kind_of_token_survives_atob_and_verifies_with_a_library_of_another_make(node: Merod) -> None:
    """Annex B 8."""
    plain, key = log_in(node), ProofKey.new()
    bound = log_in(node, prove(node, key, "POST", "/auth/token"))
    node.token = plain["access_token"]
    service = node.data("POST", "/admin/client-key", {"permissions": ["context:list"], "expires_in": 3600})
    minted = node.data("POST", "/admin/client-key", {"permissions": ["admin"]})
    node.token = ""
    tokens = [each[k] for each in (plain, bound, minted) for k in ("access_token", "refresh_token")]
    tokens.append(service["access_token"])
    keys = node.ask("GET", "/auth/jwks.json").json["keys"]
    assert run_node(_READ, {"keys": keys, "tokens": tokens}) == [claims_of(each) for each in tokens]
    assert not {"-", "_"} & {letter for each in tokens for letter in each.split(".")[1]}


@pytest.mark.needs("node")
def test_a_key_that_webcrypto_keeps_to_itself_binds_a_log_in(node: Merod) -> None:
    url = f"http://127.0.0.1:{node.port}/auth/token"
    pair = log_in(node, run_node(_PROVE, {"method": "POST", "url": url, "token": None}))
    assert "jkt" in claims_of(pair["access_token"])["cnf"]  # type: ignore[operator]
    assert node.ask("GET", AUTHED, token=pair["access_token"]).code == "proof_required"
