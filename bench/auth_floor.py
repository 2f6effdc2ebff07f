"""The bare parts of a log-in: signatures, a hash, a commit."""

import os
from pathlib import Path
from typing import Final

import argon2.low_level
import nacl.bindings

from meroid.auth.password import DEFAULT_COST
from meroid.store.driver import open_writer
from meroid.store.schema import bring_up_to_date

_MESSAGE_BYTES: Final = 450  # what is signed of an access token
_TABLE: Final = "CREATE TABLE bare (id TEXT PRIMARY KEY, of TEXT, at INTEGER) WITHOUT ROWID"


class Bare:
    """Each part as one call."""

    def __init__(self, folder: Path) -> None:
        self._public, self._secret = nacl.bindings.crypto_sign_keypair()
        self._message = os.urandom(_MESSAGE_BYTES)
        self._signed = nacl.bindings.crypto_sign(self._message, self._secret)
        key = os.urandom(32).hex()
        bring_up_to_date(folder / "bare.db", key)
        self._connection = open_writer(folder / "bare.db", key)
        self._connection.execute(_TABLE)
        self._salt = os.urandom(16)

    def verify(self) -> None:
        """One Ed25519 verification by libsodium."""
        nacl.bindings.crypto_sign_open(self._signed, self._public)

    def sign(self) -> None:
        """One Ed25519 signature by libsodium."""
        nacl.bindings.crypto_sign(self._message, self._secret)

    def commit(self) -> None:
        """One commit of one row, with the settings of our store."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO bare VALUES (?, ?, 0)", (os.urandom(16).hex(), "bare"))
        self._connection.execute("COMMIT")

    def signatures(self) -> None:
        """Two verifications and two signatures: a challenge and a proof, or a token pair, for a token pair."""
        self.verify()
        self.verify()
        self.sign()
        self.sign()

    def hash(self) -> None:
        """One Argon2id with our parameters."""
        argon2.low_level.hash_secret_raw(
            b"a password for a bench",
            self._salt,
            time_cost=DEFAULT_COST.passes,
            memory_cost=DEFAULT_COST.memory_kib,
            parallelism=DEFAULT_COST.lanes,
            hash_len=32,
            type=argon2.low_level.Type.ID,
        )

    def close(self) -> None:
        """Close its database."""
        self._connection.close()
