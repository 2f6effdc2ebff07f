"""`meroctl account …` and `meroctl identity …`: their tables, and what they refuse."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import APPLICATION, CONTEXT, FOUNDER, MEMBER, Meroctl, sent
from tests.wire_server import WireServer, said

from meroid.account.certificate import DelegationCertificate, certificate_text, delegation_of, issue_certificate
from meroid.account.changes import DeviceClaim
from meroid.account.key_log import EntryDraft, claim_device, incept, verify_key_log
from meroid.account.key_log_text import key_log_text
from meroid.account.proof import IdentityProof, make_proof, proof_text
from meroid.account.seed import Seed
from meroid.account.succession import rotate
from meroid.keys.software import SoftwareSigner

GOLDEN = Path(__file__).parents[2] / "golden"
DAY_MS = 86_400_000
KEY_LOG = {
    "length": 3,
    "head": MEMBER,
    "generation": 1,
    "keys": [FOUNDER],
    "threshold": 1,
    "recovery": None,
    "devices": [0],
    "revokedDevices": [],
    "rootKeys": 2,
    "delegations": [],
}
ACCOUNT = {
    "accountId": APPLICATION,
    "label": "",
    "owner": True,
    "device": 0,
    "createdAt": 1_700_000_000_000,
    "backedUpAt": 1_700_000_000_000,
    "disabledAt": None,
    "logUnsettledAt": None,
    "rootKeys": 2,
    "keyLog": KEY_LOG,
}


def now() -> int:
    return int(time.time() * 1000)  # the command reads the real clock


def client_key(key: str, days: int, **changes: Any) -> dict[str, Any]:
    listed = {
        "publicKey": key,
        "contextId": CONTEXT,
        "path": "m/44'/397'/1'/0'/0'/0'",
        "createdAt": now() - days * DAY_MS,
        "current": True,
        "member": True,
        "restored": False,
    }
    return {**listed, **changes}


@pytest.fixture
def account(server: WireServer) -> WireServer:
    keys = [
        client_key(MEMBER, 91),
        client_key(FOUNDER, 0, contextId=None, member=False),
        client_key(APPLICATION, 200, current=False, member=False),
    ]
    server.on("GET", "/admin-api/account", said({"data": ACCOUNT}))
    server.on("POST", "/admin-api/account/rotate", said({"data": ACCOUNT}))
    server.on("GET", "/admin-api/accounts", said({"data": {"accounts": [ACCOUNT]}}))
    server.on("GET", "/admin-api/account/client-keys", said({"data": {"clientKeys": keys, "rotateAfterDays": 90}}))
    return server


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("account_show", ["account", "show"]),
        ("account_client_keys", ["account", "client-keys"]),
        ("account_client_keys_all", ["account", "client-keys", "--all"]),
        ("account_list", ["account", "list"]),
        ("account_rotate_dry_run", ["account", "rotate", "--dry-run"]),
        ("identity_rotate_all_dry_run", ["context", "identity", "rotate", "--all", "--older-than", "90", "--dry-run"]),
    ],
)
def test_the_tables_stand_as_in_the_golden_files(
    account: WireServer, meroctl: Meroctl, name: str, words: list[str]
) -> None:
    done = meroctl(*words)

    assert done.status == 0, done.err
    assert done.out == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_what_still_has_to_be_done_is_said_below_the_table(server: WireServer, meroctl: Meroctl) -> None:
    server.on("GET", "/admin-api/account", said({"data": {**ACCOUNT, "backedUpAt": None, "logUnsettledAt": 5}}))

    out = meroctl("account", "show").out

    assert "merod account backup" in out
    assert "merod account log" in out


def test_json_is_the_answer_of_the_node(account: WireServer, meroctl: Meroctl) -> None:
    assert json.loads(meroctl("--output-format", "json", "account", "show").out) == {"data": ACCOUNT}


@pytest.mark.parametrize("action", ["backup", "restore", "recover"])
def test_what_only_the_nodes_machine_does_is_not_asked_of_a_node(
    account: WireServer, meroctl: Meroctl, action: str
) -> None:
    done = meroctl("account", action)

    assert (done.status, "local_only" in done.err, account.asked) == (1, True, [])


def test_disabling_needs_a_yes_where_nobody_can_be_asked(account: WireServer, meroctl: Meroctl) -> None:
    done = meroctl("account", "disable", APPLICATION)

    assert (done.status, "not_confirmed" in done.err) == (1, True)


def test_rotating_all_goes_on_past_one_that_fails_and_ends_with_it(account: WireServer, meroctl: Meroctl) -> None:
    keys = [client_key(MEMBER, 91), client_key(FOUNDER, 92)]
    account.on("GET", "/admin-api/account/client-keys", said({"data": {"clientKeys": keys, "rotateAfterDays": 90}}))
    path = f"/admin-api/contexts/{CONTEXT}/identities/rotate"
    account.on(
        "POST",
        path,
        lambda asked: (
            said({"data": {"publicKey": APPLICATION}})
            if asked.json["identity"] == FOUNDER
            else said({"error": "no", "code": "restored_unsynced", "reason": "no", "next": "wait"}, status=409)
        ),
    )

    done = meroctl("context", "identity", "rotate", "--all")

    assert done.status == 1
    assert APPLICATION in done.out
    assert "restored_unsynced" in done.out
    assert "not_all_rotated" in done.err


# --- key logs


@pytest.fixture
def seed() -> Seed:
    return Seed.generate()


@pytest.fixture
def log_file(seed: Seed, tmp_path: Path) -> Path:
    """A log with inception, device and rotation."""
    path = tmp_path / "log"
    path.write_text(key_log_text(entries_of(seed)))
    return path


def entries_of(seed: Seed) -> list[bytes]:
    entries = [incept(seed).encoded]
    entries.append(claim_device(verify_key_log(entries), 0, seed.account_key(0)).encoded)
    entries.append(rotate(verify_key_log(entries), seed, recovery=None).encoded)
    return entries


def test_a_log_is_exported_as_the_node_gives_it(
    server: WireServer, meroctl: Meroctl, seed: Seed, tmp_path: Path
) -> None:
    entries = entries_of(seed)
    texts = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in entries]
    server.on("GET", "/admin-api/account/key-log", said({"data": {"entries": texts}}))
    out = tmp_path / "exported"

    assert meroctl("account", "export-log", "--out", str(out)).status == 0

    assert out.read_text() == key_log_text(entries)
    assert out.stat().st_mode & 0o777 == 0o600
    again = meroctl("account", "export-log", "--out", str(out))
    assert (again.status, "file_problem" in again.err) == (1, True)


def test_a_log_is_verified_offline(run: Meroctl, log_file: Path, seed: Seed) -> None:
    done = run("account", "verify-log", str(log_file))

    assert done.status == 0, done.err
    assert str(verify_key_log(entries_of(seed)).account_id) in done.out
    assert str(seed.account_key(1).public_key) in done.out


def test_a_log_of_another_account_is_refused(run: Meroctl, log_file: Path) -> None:
    done = run("account", "verify-log", str(log_file), "--account", MEMBER)

    assert (done.status, "other_account" in done.err) == (1, True)


def test_two_copies_that_fork_are_decided_between(run: Meroctl, log_file: Path, seed: Seed, tmp_path: Path) -> None:
    entries = entries_of(seed)
    thief = EntryDraft.of(verify_key_log(entries[:2]), DeviceClaim(device=7)).signed(seed.account_key(0))
    other = tmp_path / "other"
    other.write_text(key_log_text([*entries[:2], thief.encoded]))

    done = run("account", "verify-log", str(other), str(log_file))

    assert done.status == 0, done.err
    assert "outranked" in done.out


@pytest.mark.parametrize("spoil", ["cut", "swapped", "nothing", "not text"])
def test_a_log_that_does_not_hold_is_refused(
    run: Meroctl, log_file: Path, seed: Seed, tmp_path: Path, spoil: str
) -> None:
    entries, path = entries_of(seed), tmp_path / "spoilt"
    spoilt: dict[str, bytes] = {
        "cut": log_file.read_bytes()[:-40],
        "swapped": key_log_text([entries[0], entries[2], entries[1]]).encode(),
        "nothing": key_log_text([]).encode(),
        "not text": b"\xff\xfe",
    }
    path.write_bytes(spoilt[spoil])

    done = run("account", "verify-log", str(path))

    assert done.status == 1
    assert "advice: " in done.err
    assert "Traceback" not in done.err


# --- proofs and certificates


def proof_of(seed: Seed, client: SoftwareSigner, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "account_id": verify_key_log(entries_of(seed)).account_id,
        "client_key": client.public_key,
        "context_id": None,
        "serial": None,
        "audience": "shop",
        "expires_at": now() + 60_000,
    }
    return proof_text(make_proof(IdentityProof(**{**fields, **changes}), client, [seed.account_key(1)]))


def test_a_proof_holds_for_its_audience_with_the_accounts_key_alone(run: Meroctl, seed: Seed, tmp_path: Path) -> None:
    client, path = SoftwareSigner.generate(), tmp_path / "proof"
    path.write_text(proof_of(seed, client))

    done = run("identity", "verify", str(path), "--to", "shop", "--key", str(seed.account_key(1).public_key))

    assert done.status == 0, done.err
    assert str(client.public_key) in done.out


@pytest.mark.parametrize(
    ("audience", "generation", "changes", "code"),
    [
        ("another", 1, {}, "proof_wrong_audience"),
        ("shop", 0, {}, "proof_not_of_account"),
        ("shop", 1, {"expires_at": 1}, "proof_expired"),
    ],
)
def test_a_proof_that_does_not_hold_is_refused(
    run: Meroctl, seed: Seed, tmp_path: Path, audience: str, generation: int, changes: dict[str, Any], code: str
) -> None:
    path = tmp_path / "proof"
    path.write_text(proof_of(seed, SoftwareSigner.generate(), **changes))
    key = str(seed.account_key(generation).public_key)

    done = run("identity", "verify", str(path), "--to", audience, "--key", key)

    assert (done.status, code in done.err) == (1, True)


def test_a_certificate_holds_while_the_log_says_so(run: Meroctl, seed: Seed, tmp_path: Path) -> None:
    entries = entries_of(seed)
    log = verify_key_log(entries)
    certificate = DelegationCertificate(
        account_id=log.account_id,
        client_key=SoftwareSigner.generate().public_key,
        context_id=None,
        permissions=("context:execute",),
        serial=0,
        expires_at=None,
    )
    data = issue_certificate(certificate, seed.account_key(1))
    entry = EntryDraft.of(log, delegation_of(certificate, data)).signed(seed.account_key(1)).encoded
    path, with_it, without = tmp_path / "certificate", tmp_path / "with", tmp_path / "without"
    path.write_text(certificate_text(data))
    with_it.write_text(key_log_text([*entries, entry]))
    without.write_text(key_log_text(entries))

    holds = run("identity", "verify", str(path), "--log", str(with_it))
    refused = run("identity", "verify", str(path), "--log", str(without))

    assert (holds.status, "context:execute" in holds.out) == (0, True)
    assert (refused.status, "certificate_not_in_force" in refused.err) == (1, True)


def test_proving_sends_audience_context_and_expiry(server: WireServer, meroctl: Meroctl) -> None:
    server.on("POST", "/admin-api/account/prove", said({"data": {"proof": "text\n"}}))

    done = meroctl("identity", "prove", "-c", "demo", "--to", "shop", "--valid-for", "10m", "--as", "laptop")

    body = sent(server, "/admin-api/account/prove").json
    assert (done.status, done.out) == (0, "text\n")
    assert (body["clientKey"], body["contextId"], body["audience"]) == (MEMBER, CONTEXT, "shop")
    assert 500_000 < body["expiresAt"] - now() <= 600_000


@pytest.mark.parametrize("span", ["", "10", "0h", "-1d", "1w", "1.5h", "9999999999d"])
def test_a_span_that_is_none_is_refused(server: WireServer, meroctl: Meroctl, span: str) -> None:
    done = meroctl("identity", "prove", "-c", "demo", "--to", "shop", f"--valid-for={span}", "--as", "laptop")

    assert (done.status, "bad_argument" in done.err) == (1, True)
