"""`meroctl account keys|add-root-key|remove-root-key|password` and `login` with other keys, against a real server."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.near_keys import NearPair
from tests.unit.cli.conftest import Meroctl, Run, sent
from tests.wire_server import Answer, Asked, WireServer, said

from meroid.account.root_key import certification_text
from meroid.account.seed import Seed
from meroid.auth.challenge import new_challenge_claims
from meroid.ids import AccountId
from meroid.keys.signer import Secret

ACCOUNT = AccountId(b"a" * 32)
WORDS = Seed(Secret(b"s" * 32)).words().reveal().decode()
DAY_S = 86_400


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def pair_for(account: AccountId = ACCOUNT) -> Answer:
    claims = {"exp": int(time.time()) + 3600, "account_id": str(account), "sub": "k"}
    return said({"data": {"access_token": f"{segment({})}.{segment(claims)}.sig", "refresh_token": "r"}, "error": None})


def offer(host: str = "127.0.0.1") -> Answer:
    claims = new_challenge_claims("m", host, issuer="meroid", at=1_800_000_000_000)
    text = f"{segment({})}.{segment(claims)}.sig"
    return said({"data": {"challenge": text, "nonce": claims["nonce"]}, "error": None})


def key(number: int, **changes: Any) -> dict[str, Any]:
    shown = {
        "key_id": f"{number:032x}",
        "public_key": "ann",
        "auth_method": "user_password",
        "created_at": int(time.time()) - 3 * DAY_S,
        "revoked_at": None,
        "permissions": ["admin"],
        "last_used_at": None,
        "changed_at": None,
        "label": f"ann{number}",
        "account_id": str(ACCOUNT),
        "certified": False,
        "current": False,
    }
    return shown | changes


def listed(*keys: dict[str, Any]) -> Answer:
    return said({"data": list(keys), "error": None})


@pytest.fixture
def logged_in(meroctl: Meroctl, server: WireServer, home: Path) -> Meroctl:
    """Logged in with a password."""
    server.on("GET", "/auth/providers", said({"data": {"providers": [], "count": 0, "setup_required": False}}))
    server.on("POST", "/auth/token", pair_for())
    for method in ("near_wallet", "recovery_phrase", "hardware_key"):
        server.on("GET", f"/auth/challenge?method={method}", offer())
    assert meroctl("login", "--username", "ann", "--password-file", file(home, "pw", "secret")).status == 0
    return meroctl


def file(home: Path, name: str, content: str) -> str:
    path = home / name
    path.write_text(content)
    return str(path)


def near_file(home: Path) -> str:
    return str(NearPair.of(3).write(home / "near.json"))


def test_keys_are_shown_with_their_ages_and_old_ones_are_named(logged_in: Meroctl, server: WireServer) -> None:
    old, now = int(time.time()) - 400 * DAY_S, int(time.time())
    changed = key(4, created_at=old, changed_at=now - 7200)
    server.on(
        "GET", "/admin/keys", listed(key(1), key(2, created_at=old, current=True), key(3, revoked_at=old), changed)
    )

    done = logged_in("account", "keys")

    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in done.out.splitlines() if "user_password" in line
    ]
    assert [row[2:] for row in rows] == [
        ["ann1", "3 days ago", "never", ""],
        ["ann2", "400 days ago", "never", "yes"],
        ["ann4", "today", "never", ""],
    ]
    assert done.err == "warning: ann2 is 400 days old; replace it, or change its password\n"
    assert logged_in("account", "keys", "--old-after", "500").err == ""
    as_json = logged_in("--output-format", "json", "account", "keys")
    assert len(json.loads(as_json.out)["data"]) == 4


def test_those_of_all_accounts_are_asked_for_by_name(logged_in: Meroctl, server: WireServer) -> None:
    server.on("GET", "/admin/keys?all=true", listed(key(1)))
    assert str(ACCOUNT) in logged_in("account", "keys", "--all").out


def bound(server: WireServer) -> None:
    server.on("POST", "/admin/keys", said({"data": {"status": True, "message": "Key was created", "key_id": "k9"}}))


def test_a_wallet_is_bound_by_its_certification_of_the_account(
    logged_in: Meroctl, server: WireServer, home: Path
) -> None:
    bound(server)
    done = logged_in("account", "add-root-key", "--near-key-file", near_file(home))
    assert (done.status, "k9" in done.out) == (0, True)
    assert sent(server, "/admin/keys").json["provider_data"]["message"] == certification_text(ACCOUNT)


def test_a_password_is_bound(logged_in: Meroctl, server: WireServer, home: Path) -> None:
    bound(server)
    words = (
        "account",
        "add-root-key",
        "--password",
        "--username",
        "bea",
        "--password-file",
        file(home, "p", "new one"),
    )
    assert logged_in(*words).status == 0
    assert sent(server, "/admin/keys").json == {
        "auth_method": "user_password",
        "public_key": "bea",
        "provider_data": {"username": "bea", "password": "new one"},
    }


def test_the_words_sign_with_later_generations_until_the_one_in_force(
    logged_in: Meroctl, server: WireServer, home: Path
) -> None:
    keys: list[str] = []

    def answer(asked: Asked) -> Answer:
        keys.append(asked.json["public_key"])
        if len(keys) < 3:
            return said({"error": "retired", "code": "account_key_retired", "next": "n"}, status=401)
        return pair_for()

    server.on("POST", "/auth/token", answer)
    done = logged_in("login", "--phrase-file", file(home, "words", WORDS + "\n"))
    seed = Seed.from_words(WORDS)
    assert (done.status, keys) == (0, [str(seed.account_key(number).public_key) for number in range(3)])
    assert all(WORDS not in str(asked.body) for asked in server.asked)


def test_a_refusal_of_the_words_ends_it(logged_in: Meroctl, server: WireServer, home: Path) -> None:
    server.on("POST", "/auth/token", said({"error": "no", "code": "wrong_credentials"}, status=401))
    before = len(server.asked)
    done = logged_in("login", "--phrase-file", file(home, "words", WORDS))
    assert (done.status, "wrong_credentials" in done.err) == (1, True)
    assert [asked.path for asked in server.asked[before:]][-2:] == [
        "/auth/challenge?method=recovery_phrase",
        "/auth/token",
    ]


def test_a_challenge_for_another_host_is_not_answered(logged_in: Meroctl, server: WireServer, home: Path) -> None:
    server.on("GET", "/auth/challenge?method=near_wallet", offer("victim.example"))
    before = len(server.asked)
    done = logged_in("login", "--near-key-file", near_file(home))
    assert (done.status, "foreign_challenge" in done.err) == (1, True)
    assert "/auth/token" not in [asked.path for asked in server.asked[before:]]


@pytest.mark.parametrize(
    "words",
    [
        ("account", "add-root-key"),
        ("account", "add-root-key", "--password", "--phrase"),
        ("account", "remove-root-key"),
        ("login", "--phrase", "--pkcs11", "pkcs11:token=x"),
    ],
)
def test_what_can_not_be_meant_is_refused(run: Meroctl, words: tuple[str, ...]) -> None:
    assert run(*words).status == 2


def test_secrets_are_never_asked_for_without_a_terminal(logged_in: Meroctl, server: WireServer, home: Path) -> None:
    server.on("GET", "/admin/keys", listed(key(1, current=True)))
    new = file(home, "new", "a new password")
    for words in (
        ("login", "--phrase"),
        ("account", "add-root-key", "--phrase"),
        ("account", "add-root-key", "--password", "--username", "bea"),
        ("account", "add-root-key", "--password"),
        ("account", "password", "--password-file", new),
        ("login", "--username", "ann", "--near-key-file", near_file(home)),
        ("account", "add-root-key", "--near-key-file", near_file(home), "--username", "x"),
    ):
        done = logged_in(*words)
        assert (done.status, "bad_argument" in done.err) == (1, True), words


def test_a_password_is_changed_with_the_old_one(logged_in: Meroctl, server: WireServer, home: Path) -> None:
    server.on("GET", "/admin/keys", listed(key(1, current=True), key(2, auth_method="near_wallet")))
    path = f"/admin/keys/{key(1)['key_id']}/password"
    server.on("PUT", path, said({"data": {"sessions_ended": 2, "status": True, "message": "m"}}))
    old, new = file(home, "old", "secret"), file(home, "new", "a new password")

    done = logged_in("account", "password", "--old-password-file", old, "--password-file", new, "--keep-sessions")

    assert sent(server, path).json == {"password": "a new password", "end_sessions": False, "old_password": "secret"}
    assert "Other log-ins that ended: 2" in done.out


def test_which_password_is_meant_has_to_be_clear(logged_in: Meroctl, server: WireServer, home: Path) -> None:
    new = file(home, "new", "a new password")
    for keys, word in (((key(1), key(2)), "--key"), ((key(1, auth_method="passkey"),), "no such password")):
        server.on("GET", "/admin/keys", listed(*keys))
        done = logged_in("account", "password", "--password-file", new)
        assert (done.status, word in done.err, "no_such_root_key" in done.err) == (1, True, True)


def test_a_removal_tells_what_ended_and_needs_a_yes(logged_in: Meroctl, server: WireServer) -> None:
    removed = {"key_id": "k", "revoked_at": 1, "clients_revoked": 3, "lost": "only words open it"}
    server.on("DELETE", "/admin/keys/k", said({"data": removed | {"lost": None}}))
    server.on("DELETE", "/admin/keys/k?force=true", said({"data": removed}))

    assert "Tokens that ended with it: 3" in logged_in("account", "remove-root-key", "k", "-y").out
    before = len(server.asked)
    for force in ((), ("--force",)):
        refused = logged_in("account", "remove-root-key", "k", *force)
        assert (refused.status, "not_confirmed" in refused.err) == (1, True)
    assert len(server.asked) == before
    assert "only words open it" in logged_in("account", "remove-root-key", "k", "--force", "-y").out


def test_on_a_terminal_a_person_is_asked(
    logged_in: Meroctl, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io  # noqa: PLC0415 - here only

    monkeypatch.setattr("meroid.cli.meroctl.asking.is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done: Run = logged_in("account", "remove-root-key", "k")
    assert (done.status, "cancelled" in done.err) == (1, True)
    assert ("DELETE", "/admin/keys/k") not in [(asked.method, asked.path) for asked in server.asked]


def test_an_old_log_in_is_told_to_log_in_again(logged_in: Meroctl, server: WireServer) -> None:
    refusal = {"data": None, "error": "old", "code": "login_not_fresh", "next": "n"}
    server.on("DELETE", "/admin/keys/k", said(refusal, status=403))
    done = logged_in("account", "remove-root-key", "k", "-y")
    assert done.status == 1
    assert "advice: log in: meroctl" in done.err


GOLDEN = Path(__file__).parents[2] / "golden"
NEW_KEY = said({"data": {"status": True, "message": "Key was created", "key_id": "f" * 32}})
REMOVED = said({"data": {"key_id": "f" * 32, "revoked_at": 1, "clients_revoked": 0, "lost": None}})
CHANGED = said({"data": {"sessions_ended": 2, "status": True, "message": "m"}})
TABLES: list[tuple[str, list[str], tuple[str, str], Callable[[], Answer]]] = [
    (
        "account_keys",
        ["account", "keys"],
        ("GET", "/admin/keys"),
        lambda: listed(
            key(1, current=True, last_used_at=int(time.time())), key(2, auth_method="near_wallet", label="rosa.near")
        ),
    ),
    ("account_keys_empty", ["account", "keys"], ("GET", "/admin/keys"), listed),
    (
        "account_add_root_key",
        ["account", "add-root-key", "--near-key-file", "near.json"],
        ("POST", "/admin/keys"),
        lambda: NEW_KEY,
    ),
    (
        "account_remove_root_key",
        ["account", "remove-root-key", "f" * 32, "-y"],
        ("DELETE", f"/admin/keys/{'f' * 32}"),
        lambda: REMOVED,
    ),
    (
        "account_password",
        ["account", "password", "--key", key(1)["key_id"], "--password-file", "new"],
        ("PUT", f"/admin/keys/{key(1)['key_id']}/password"),
        lambda: CHANGED,
    ),
]


@pytest.mark.parametrize(("name", "words", "rule", "answer"), TABLES, ids=[case[0] for case in TABLES])
def test_a_table_is_drawn_letter_by_letter(
    name: str,
    words: list[str],
    rule: tuple[str, str],
    answer: Callable[[], Answer],
    logged_in: Meroctl,
    server: WireServer,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    near_file(home)
    file(home, "new", "a new password")
    server.on("GET", "/admin/keys", listed(key(1)))
    server.on(*rule, answer())

    done = logged_in(*words)

    assert (done.status, done.err) == (0, "")
    assert done.out == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
