"""Keys: deriving a client key, verifying a key log, checking a password, each against the raw primitives in it."""

import hmac
import itertools
import os
from collections.abc import Callable
from typing import Final

import argon2.low_level
import nacl.bindings
from bench.measure import Report, Rounds, arguments, in_turn, timed

from meroid.account.changes import DeviceClaim
from meroid.account.key_log import incept, verify_key_log
from meroid.account.key_log_entry import ENTRY_TAG, KeyLogEntry, change_payload
from meroid.account.seed import Seed
from meroid.auth.password import DEFAULT_COST, hash_password, verify_password
from meroid.keys.canonical import tagged_message

DERIVING: Final = 0.7
VERIFYING: Final = 0.8
CHECKING: Final = 0.9
PASSWORD: Final = "a password for a bench"


def deriving(report: Report, rounds: int) -> None:
    """A client key of the next slot, from the subtree that a device holds."""
    device = Seed.generate().device(0)
    slots = itertools.count()
    code, seed, data = os.urandom(32), os.urandom(32), os.urandom(37)

    def bare() -> None:
        hmac.digest(code, data, "sha512")
        hmac.digest(code, data, "sha512")
        nacl.bindings.crypto_sign_seed_keypair(seed)

    works = {
        "key": timed(lambda: device.client_keys(slot=next(slots)), 100),
        "bare": timed(bare, 100),
        "both": timed(lambda: device.client_keys(slot=next(slots)).sealing, 100),
    }
    measured = in_turn(works, rounds=rounds)
    report.section(
        "Deriving a client key",
        "Slot and generation are two hardened steps. The floor is two HMAC-SHA512 and one Ed25519 public key.",
    )
    report.cost(
        "client key", measured["key"], floor=measured["bare"], ratio=measured.ratio("bare", "key"), target=DERIVING
    )
    report.cost("  its X25519 key besides", max(0.0, measured["both"] - measured["key"]))


def verifying(report: Report, entries: int, rounds: int) -> None:
    """A whole key log, from its bytes to the account's state."""
    log = _key_log(entries)
    signed = [_signed(entry) for entry in log]

    def bare() -> None:
        for message, key in signed:
            nacl.bindings.crypto_sign_open(message, key)

    measured = in_turn(
        {"log": _each(lambda: verify_key_log(log), entries), "bare": _each(bare, entries)}, rounds=rounds
    )
    report.section(
        f"Verifying a key log of {entries:,} entries",
        "One entry: decoding, its place in the chain, who may sign it, its signature, the state after it. The floor is\n"
        "the raw Ed25519 verification of the same messages.",
    )
    ratio = measured.ratio("bare", "log")
    report.cost("one entry", measured["log"], floor=measured["bare"], ratio=ratio, target=VERIFYING)


def checking(report: Report, rounds: int) -> None:
    """A password against what is stored."""
    stored = hash_password(PASSWORD)
    salt = os.urandom(16)

    def bare() -> None:
        argon2.low_level.hash_secret_raw(
            PASSWORD.encode(),
            salt,
            time_cost=DEFAULT_COST.passes,
            memory_cost=DEFAULT_COST.memory_kib,
            parallelism=DEFAULT_COST.lanes,
            hash_len=32,
            type=argon2.low_level.Type.ID,
        )

    measured: Rounds = in_turn(
        {"check": timed(lambda: verify_password(stored, PASSWORD), 1), "bare": timed(bare, 1)}, rounds=rounds
    )
    report.section("Checking a password", "Argon2id with the parameters that are stored. The floor is the raw hash.")
    ratio = measured.ratio("bare", "check")
    report.cost("check", measured["check"], floor=measured["bare"], ratio=ratio, target=CHECKING)


def _each(work: Callable[[], object], count: int) -> Callable[[], float]:
    once = timed(work, 1)
    return lambda: once() / count


def _key_log(entries: int) -> list[bytes]:
    """An inception and claims of devices."""
    seed = Seed.generate()
    signer = seed.account_key(0)
    entry = incept(seed)
    log = [entry.encoded]
    for seq in range(1, entries):
        entry = KeyLogEntry.sign(change_payload(seq, entry.entry_id, DeviceClaim(device=seq)), [signer])
        log.append(entry.encoded)
    return log


def _signed(entry: bytes) -> tuple[bytes, bytes]:
    """Signature and signed message in one, as libsodium takes them, and the key."""
    envelope = KeyLogEntry.parse(entry).envelope
    ((key, signature),) = envelope.signatures
    return signature + tagged_message(ENTRY_TAG, envelope.payload), bytes(key)


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__)
    report = Report()
    deriving(report, 20 if options.quick else 100)
    verifying(report, 1_000 if options.quick else 10_000, 5 if options.quick else 9)
    checking(report, 5 if options.quick else 25)
    report.show(as_json=options.json)


if __name__ == "__main__":
    main()
