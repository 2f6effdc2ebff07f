"""P1: a root key comes from a wallet, a password, a hardware key or the words; several open one account,
and losing or replacing one never changes the account.

One node in embedded mode; its owner works with `meroctl` alone, as a person does.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from tests.near_chain import FULL_ACCESS, FUNCTION_CALL, near_chain
from tests.near_keys import NearPair
from tests.processes import Merod, Owner, initialise, start, stop
from tests.servers import Got
from tests.soft_token import CONF, SoftToken, soft_token
from tests.three_nodes import create_context, install_kv_store

from meroid.client.tokens import claims_of
from meroid.vault.pkcs11_signer import generate_account_key

OWNER: Final = Owner("rosa", "the first password of rosa")
NEW_PASSWORD: Final = "another password of rosa"
WALLET: Final = NearPair.of(31)
OTHER_WALLET: Final = NearPair.of(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The node, its owner's account, a context with something in it, and the account's words."""

    node: Merod
    account: str
    context_id: str
    executor: str
    words: str

    def file(self, name: str, content: str) -> str:
        """A private file of the person; its path."""
        path = self.node.person / name
        path.write_text(content, "utf-8")
        path.chmod(0o600)
        return str(path)

    def wallet(self, pair: NearPair = WALLET) -> str:
        return str(pair.write(self.node.person / f"{pair.account[:8]}.json"))

    def log_in(self, *words: str, **more: Any) -> str:
        """Log in with the command line's words; the access token is used from now on."""
        self.node.meroctl("login", *words, **more)
        self.node.token = self.token()
        return self.node.token

    def log_in_by_password(self, password: str) -> str:
        return self.log_in("--username", OWNER.name, "--password-file", self.file("typed", password))

    def token(self) -> str:
        """The access token that `meroctl` keeps now."""
        (cache,) = (self.node.person / ".merobox" / "auth_cache").glob("*.json")
        return str(json.loads(cache.read_text())["access_token"])

    def whoami(self) -> Any:
        return self.node.meroctl("--output-format", "json", "whoami").first

    def live_keys(self) -> list[Any]:
        """The live root keys."""
        listed = self.node.meroctl("--output-format", "json", "account", "keys").first["data"]
        return [each for each in listed if each["revoked_at"] is None]

    def key(self, method: str) -> str:
        (found,) = [each["key_id"] for each in self.live_keys() if each["auth_method"] == method]
        return str(found)

    def is_the_same(self) -> bool:
        """The account of this log-in is the one from the beginning, and its context is there with what is in it."""
        seen = self.whoami()["account_id"], claims_of(self.token())["account_id"]
        value = self.node.call(self.context_id, self.executor, "get", key="k")
        return seen == (self.account, self.account) and value == "kept"


def alive(node: Merod, token: str) -> Got:
    return node.ask("GET", "/admin-api/is-authed", token=token)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    node = Merod("rooted-node", tmp_path, owner=OWNER)
    initialise(node)
    with node.opened() as offline:
        words = offline.keys.words(offline.prepare()).reveal().decode()
    start(node)
    node.log_in()
    made = create_context(node, install_kv_store(node))
    node.call(made["contextId"], made["memberPublicKey"], "set", key="k", value="kept")
    account = str(claims_of(node.token)["account_id"])
    yield World(node=node, account=account, context_id=made["contextId"], executor=made["memberPublicKey"], words=words)
    stop(node)
    assert "Traceback" not in node.log, node.log
    for secret in (OWNER.password, NEW_PASSWORD, words):
        assert secret not in node.log


def test_a_wallet_beside_the_password_opens_the_same_account(world: World) -> None:
    world.node.meroctl("account", "add-root-key", "--near-key-file", world.wallet())

    world.log_in("--near-key-file", world.wallet())

    assert world.is_the_same()
    assert world.whoami()["username"] == WALLET.account
    assert [each["auth_method"] for each in world.live_keys()] == ["user_password", "near_wallet"]
    assert [each["certified"] for each in world.live_keys()] == [False, True]
    world.log_in_by_password(OWNER.password)
    assert world.is_the_same()


def test_a_wallet_that_nobody_bound_opens_nothing(world: World) -> None:
    refused = world.node.meroctl("login", "--near-key-file", world.wallet(OTHER_WALLET), ends_with=1)

    assert "wrong_credentials" in refused.err


@pytest.mark.needs("softhsm2")
def test_a_hardware_key_opens_the_same_account(world: World, tmp_path: Path) -> None:
    with soft_token(tmp_path / "softhsm") as token:
        generate_account_key(token.uri()).close()
        hardware = {CONF: str(token.conf)}
        world.node.meroctl("account", "add-root-key", "--pkcs11", token.uri(), environment=hardware)

        world.log_in("--pkcs11", token.uri(), environment=hardware)

        assert world.is_the_same()
        assert_refused_with_another_key(world, token, hardware)


def assert_refused_with_another_key(world: World, token: SoftToken, hardware: dict[str, str]) -> None:
    other = token.uri("object=other")
    generate_account_key(other).close()
    assert "wrong_credentials" in world.node.meroctl("login", "--pkcs11", other, ends_with=1, environment=hardware).err


def test_the_words_open_the_same_account_though_nobody_bound_them(world: World) -> None:
    world.log_in("--phrase-file", "-", typed=world.words + "\n")

    assert world.is_the_same()
    assert [each["auth_method"] for each in world.live_keys()] == ["user_password", "recovery_phrase"]


def test_a_changed_password_takes_the_place_of_the_old_one_and_ends_its_log_ins(world: World) -> None:
    old_log_in = world.node.pair()["access_token"]
    assert alive(world.node, old_log_in).status == 200
    old, new = world.file("old", OWNER.password), world.file("new", NEW_PASSWORD)

    world.node.meroctl("account", "password", "--old-password-file", old, "--password-file", new)

    assert alive(world.node, old_log_in).code == "token_revoked"
    assert alive(world.node, world.token()).status == 200, "who changes it stays logged in"
    typed = ("login", "--username", OWNER.name, "--password-file")
    assert "wrong_credentials" in world.node.meroctl(*typed, old, ends_with=1).err
    world.log_in_by_password(NEW_PASSWORD)
    assert world.is_the_same()


def test_a_wrong_old_password_changes_nothing(world: World) -> None:
    wrong, new = world.file("wrong", "not the password"), world.file("new", NEW_PASSWORD)

    refused = world.node.meroctl(
        "account", "password", "--old-password-file", wrong, "--password-file", new, ends_with=1
    )

    assert "wrong_old_password" in refused.err
    world.log_in_by_password(OWNER.password)
    assert world.is_the_same()


def test_a_forgotten_password_is_set_anew_with_another_root_key(world: World) -> None:
    world.node.meroctl("account", "add-root-key", "--near-key-file", world.wallet())
    world.log_in("--near-key-file", world.wallet())

    world.node.meroctl("account", "password", "--password-file", world.file("new", NEW_PASSWORD))

    world.log_in_by_password(NEW_PASSWORD)
    assert world.is_the_same()


def test_a_removed_root_key_ends_at_once_and_the_others_still_open_the_account(world: World) -> None:
    world.node.meroctl("account", "add-root-key", "--near-key-file", world.wallet())
    by_password = world.log_in_by_password(OWNER.password)
    minted = world.node.data("POST", "/admin/client-key", {"permissions": ["context:execute"]})["access_token"]
    password_key = world.key("user_password")
    world.log_in("--near-key-file", world.wallet())

    world.node.meroctl("account", "remove-root-key", password_key, "-y")

    assert [alive(world.node, token).code for token in (by_password, minted)] == ["token_revoked"] * 2
    typed = ("login", "--username", OWNER.name, "--password-file", world.file("old", OWNER.password))
    assert "wrong_credentials" in world.node.meroctl(*typed, ends_with=1).err
    assert world.is_the_same()

    bound_again = ("account", "add-root-key", "--password", "--username", OWNER.name, "--password-file")
    world.node.meroctl(*bound_again, world.file("new", NEW_PASSWORD))
    world.log_in_by_password(NEW_PASSWORD)
    assert world.is_the_same()
    assert alive(world.node, by_password).code == "token_revoked", "what ended with the first one stays ended"


def test_the_last_root_key_goes_by_force_only_and_the_words_still_open_the_account(world: World) -> None:
    key_id = world.key("user_password")

    refused = world.node.meroctl("account", "remove-root-key", key_id, "-y", ends_with=1)
    assert "last_root_key" in refused.err
    assert alive(world.node, world.token()).status == 200
    removed = world.node.meroctl("account", "remove-root-key", key_id, "-y", "--force")

    assert "It was the last one: only the account's recovery words open it" in removed.out
    assert alive(world.node, world.token()).code == "token_revoked"
    world.log_in("--phrase-file", "-", typed=world.words + "\n")
    assert world.is_the_same()


@contextmanager
def wallet_node(folder: Path, *settings: str) -> Iterator[Merod]:
    """A node in embedded mode without an owner, with further lines in its configuration."""
    node = Merod("wallet-node", folder)
    initialise(node)
    config = node.home / node.name / "config.toml"
    embedded = config.read_text().replace('auth_mode = "proxy"', 'auth_mode = "embedded"')
    config.write_text("\n".join([embedded, *settings, ""]))
    start(node)
    yield node
    stop(node)
    assert "Traceback" not in node.log, node.log


def test_the_first_owner_may_come_with_a_wallet(tmp_path: Path) -> None:
    with wallet_node(tmp_path) as node:
        key = str(WALLET.write(node.person / "wallet.json"))

        first = node.meroctl("--output-format", "json", "login", "--near-key-file", key).first

        assert first["owner"] is True
        listed = node.meroctl("--output-format", "json", "account", "keys").first["data"]
        assert [(each["auth_method"], each["certified"]) for each in listed] == [("near_wallet", True)]
        other = str(OTHER_WALLET.write(node.person / "other.json"))
        assert "wrong_credentials" in node.meroctl("login", "--near-key-file", other, ends_with=1).err


def test_a_named_near_account_logs_in_as_the_chain_says(tmp_path: Path) -> None:
    full, limited, stranger = (NearPair.of(number, account="rosa.testnet") for number in (41, 42, 43))
    keys = {"rosa.testnet": {full.public_text: FULL_ACCESS, limited.public_text: FUNCTION_CALL}}
    with near_chain(keys) as chain, wallet_node(tmp_path, "[auth.near]", f'rpc = "{chain.url}"') as node:

        def log_in(pair: NearPair, ends_with: int = 0) -> str:
            key = str(pair.write(node.person / "near.json"))
            return node.meroctl("login", "--near-key-file", key, ends_with=ends_with).err

        log_in(full)
        account = node.meroctl("--output-format", "json", "whoami").first["account_id"]
        assert "near_function_call_key" in log_in(limited, 1)
        assert "near_key_unknown" in log_in(stranger, 1)
        assert "near_key_unknown" in log_in(NearPair.of(41, account="nobody.testnet"), 1)
        for fault, code in (("broken", "near_unreachable, HTTP 503"), ("rate-limited", "near_rate_limited, HTTP 429")):
            chain.fault = fault
            assert code in log_in(full, 1)
        chain.fault = ""
        log_in(full)
        assert node.meroctl("--output-format", "json", "whoami").first["account_id"] == account
