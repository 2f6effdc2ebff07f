"""A home of `mero-auth` with as many keys as one wants, its process, and whoever asks it."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import nacl.bindings
from bench.processes import Caller, free_port

from meroid.app.auth import token_signing_keys
from meroid.app.vaulted import open_vaulted
from meroid.auth.near_wallet import RECIPIENT
from meroid.auth.tokens import AccessClaims, RefreshClaims, TokenIssuer, new_id, new_token_id
from meroid.clock import SystemClock
from meroid.config import load_standalone
from meroid.keys.nep413 import Nep413Message, near_key_text
from meroid.keys.public import PublicKey
from meroid.service.ports.auth import FamilyRecord, RefreshRecord, RootKeyRecord, TokenKeyRecord
from meroid.service.ports.store import Transaction
from meroid.store.driver import open_writer

OWNER: Final = "bench"
PASSWORD: Final = "a password for a bench"
FEW_KEYS: Final = 1_000
_HELD: Final = ("context:list", "context:execute")
_READY_S: Final = 30.0
_BATCH: Final = 20_000
_ADD_KEYS: Final = """
INSERT INTO token_keys
  (client_id, root_key_id, account_id, name, permissions, context_id, executor, node_url, created_at, revoked_at,
   expires_at)
SELECT ?, root_key_id, account_id, name, permissions, context_id, executor, node_url, created_at, revoked_at, expires_at
FROM token_keys WHERE client_id = ?
"""
_ADD_FAMILIES: Final = """
INSERT INTO families (family_id, key_id, narrowed_to, logged_in_at, created_at, revoked_at)
SELECT ?, ?, narrowed_to, logged_in_at, created_at, revoked_at FROM families WHERE family_id = ?
"""


class AuthHome:
    """A service that was made with `mero-auth init`, and filled while it didn't run."""

    def __init__(self, folder: Path) -> None:
        """Make it; its owner has a password, and a NEAR wallet that is bound beside it."""
        self.folder = folder
        folder.mkdir()
        self.file = folder / "auth.toml"
        self._write_file()
        password = folder / "password"
        password.write_text(PASSWORD)
        self.run("init", "--owner", OWNER, "--owner-password-file", str(password))
        self.near_seed = secrets.token_bytes(32)
        self.keys = 0

    def copy(self, folder: Path) -> "AuthHome":
        """Another home with the same keys."""
        shutil.copytree(self.folder, folder)
        other = object.__new__(AuthHome)
        other.__dict__ |= self.__dict__ | {"folder": folder, "file": folder / "auth.toml"}
        other._write_file()  # of the same class
        return other

    def run(self, *arguments: str) -> None:
        """Run the command to its end."""
        subprocess.run([*self.command(), *arguments], stdout=subprocess.DEVNULL, check=True, timeout=60)

    def command(self) -> list[str]:
        """The command with its file."""
        return [str(Path(sys.executable).with_name("mero-auth")), "-c", str(self.file)]

    def fill(self, *, keys: int, refreshes: int) -> "Wallet":
        """Store token keys, each with a family, and log-ins with a refresh token; gives what mints tokens for them.

        All but the first key are written straight into the tables, some ten seconds for a million.
        """
        settings = load_standalone(self.file, os.environ)
        at = SystemClock().now_ms()
        vaulted = open_vaulted(settings, make=False)
        near = PublicKey(nacl.bindings.crypto_sign_seed_keypair(self.near_seed)[0])
        families = [new_id() for _ in range(refreshes)]

        def work(tx: Transaction) -> RootKeyRecord:
            root = next(each for each in tx.auth.root_keys() if each.method == "user_password")
            if self.keys == 0:
                tx.auth.add_root_key(_near_root(root, near, at))
                tx.auth.add_token_key(_token_key(root, at))
                tx.auth.open_family(_family(key_id(0), key_id(0), at), _refresh(key_id(0), at))
            for family in families:
                tx.auth.open_family(_family(family, root.key_id, at), _refresh(family, at))
            return root

        try:
            root = vaulted.store.write(work)
            issuer = token_signing_keys(vaulted, settings.auth).issuer(at)
            database_key = vaulted.seeds.database_key()
        finally:
            vaulted.store.close()
        if keys > max(1, self.keys):
            self._add_keys(settings.database, database_key, max(1, self.keys), keys)
        self.keys = max(keys, self.keys)
        return Wallet(issuer, root, self.near_seed, keys=self.keys, families=families, at=at)

    def _add_keys(self, database: Path, database_key: str, first: int, end: int) -> None:
        connection = open_writer(database, database_key)
        numbers = iter(range(first, end))
        while batch := [key_id(each) for each in islice(numbers, _BATCH)]:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_ADD_KEYS, [(each, key_id(0)) for each in batch])
            connection.executemany(_ADD_FAMILIES, [(each, each, key_id(0)) for each in batch])
            connection.execute("COMMIT")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()

    def _write_file(self) -> None:
        self.file.write_text(f'[storage]\ntype = "sqlite"\npath = "{self.folder / "home"}"\n')


class Wallet:
    """Everything to ask a filled home with: tokens, wallet, password."""

    def __init__(
        self,
        issuer: TokenIssuer,
        root: RootKeyRecord,
        near_seed: bytes,
        *,
        keys: int,
        families: Sequence[str],
        at: int,
    ) -> None:
        self._issuer = issuer
        self._root = root
        self._near_public, self._near_secret = nacl.bindings.crypto_sign_seed_keypair(near_seed)
        self._keys = keys
        self._families = iter(families)
        self._at = at

    def known(self) -> tuple[str, str]:
        """A user and a token that is used again and again."""
        return key_id(0), self._access(key_id(0), key_id(0))

    def first_seen(self, count: int) -> Iterator[str]:
        """Users with tokens that nobody has seen yet, of keys from all over the store."""
        for _ in range(count):
            user = key_id(secrets.randbelow(self._keys))
            yield f"{user} {self._access(user, user)}"

    def refreshes(self, count: int) -> Iterator[str]:
        """Bodies of `/auth/refresh`, each of a log-in of its own."""
        for family in islice(self._families, count):
            claims = _refresh(family, self._at)
            refresh = RefreshClaims(
                subject=self._root.key_id,
                family_id=family,
                token_id=claims.jti,
                issued_at=claims.issued_at // 1000,
                expires_at=claims.expires_at // 1000,
            )
            access = self._access(self._root.key_id, family)
            yield json.dumps({"access_token": access, "refresh_token": self._issuer.refresh(refresh)})

    def near(self, count: int) -> Iterator[str]:
        """Bodies of `/auth/token`: a challenge each, signed by the wallet."""
        key = PublicKey(self._near_public)
        for _ in range(count):
            challenge = self._issuer.challenge("near_wallet", "127.0.0.1", SystemClock().now_ms())
            message = Nep413Message(message=challenge.text, nonce=challenge.nonce, recipient=RECIPIENT)
            signature = nacl.bindings.crypto_sign(message.digest(), self._near_secret)[:64]
            data = {
                "wallet_address": self._near_public.hex(),
                "message": challenge.text,
                "signature": base64.b64encode(signature).decode("ascii"),
            }
            yield _token_body("near_wallet", near_key_text(key), data)

    def password(self, count: int) -> Iterator[str]:
        """Bodies of `/auth/token` with the owner's password."""
        body = _token_body("user_password", OWNER, {"username": OWNER, "password": PASSWORD})
        return (body for _ in range(count))

    def _access(self, subject: str, family: str) -> str:
        now = SystemClock().now_ms() // 1000
        return self._issuer.access(
            AccessClaims(
                subject=subject,
                family_id=family,
                token_id=new_token_id(family),
                permissions=_HELD,
                issued_at=now,
                expires_at=now + 3600,
                account_id=self._root.account_id,
            )
        )


class AuthProcess:
    """`mero-auth` on a home, until the end of the block."""

    def __init__(self, home: AuthHome, *, workers: int = 1) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [*home.command(), "--bind", f"127.0.0.1:{self.port}", "--workers", str(workers)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await_answer(self.port, "/health/live", self._process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid


class NoopProcess(AuthProcess):
    """An application that does nothing, in a process of its own."""

    def __init__(self, kind: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, str(Path(__file__).parent / "servers" / "noop.py"), kind, str(self.port)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command)
        await_answer(self.port, "/auth/validate", self._process)
        return self


def await_answer(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process answers on a path."""
    until = time.monotonic() + _READY_S
    while True:
        caller = Caller(port)
        try:
            caller.send("GET", path)
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.01)
        else:
            return
        finally:
            caller.close()


def key_id(number: int) -> str:
    """The id of a token key, and of its family."""
    return f"{number:032x}"


def _token_key(root: RootKeyRecord, at: int) -> TokenKeyRecord:
    return TokenKeyRecord(
        client_id=key_id(0),
        root_key_id=root.key_id,
        account_id=root.account_id,
        name="bench",
        permissions=_HELD,
        context_id=None,
        executor=None,
        node_url=None,
        created_at=at,
    )


def _near_root(root: RootKeyRecord, near: PublicKey, at: int) -> RootKeyRecord:
    return RootKeyRecord(
        key_id=new_id(),
        account_id=root.account_id,
        method="near_wallet",
        identifier=bytes(near).hex(),
        verifier=None,
        permissions=root.permissions,
        created_at=at,
    )


def _family(family_id: str, key: str, at: int) -> FamilyRecord:
    return FamilyRecord(family_id=family_id, key_id=key, narrowed_to=None, logged_in_at=at, created_at=at)


def _refresh(family: str, at: int) -> RefreshRecord:
    return RefreshRecord(jti=f"{family}.{family}", family_id=family, issued_at=at, expires_at=at + 86_400_000)


def _token_body(method: str, public_key: str, data: dict[str, str]) -> str:
    fields = {"auth_method": method, "public_key": public_key, "client_name": "bench", "timestamp": 0}
    return json.dumps({**fields, "provider_data": data})
