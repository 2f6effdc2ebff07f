"""P2: client keys are derived from the root (hardened), one per context and device, unlinkable; the words restore them.

The derivation is done here a second time, from the published standards only (BIP-39, SLIP-0010)
and the paths that `docs/keys.md` gives, with none of meroid's code.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from nacl.signing import SigningKey
from tests.processes import Merod, eventually, stopped
from tests.three_nodes import Shared, ThreeNodes, agree, new_identity, remove

from meroid.account.key_log import incept, verify_key_log
from meroid.account.seed import Seed
from meroid.ids import ContextId, EpochId
from meroid.keys.canonical import NotCanonicalError, Value, parse_canonical
from meroid.keys.public import PublicKey
from meroid.ledger.epoch import topic
from meroid.ledger.operation import Genesis
from meroid.ledger.verify import read_operation
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord

HARDENED: Final = 0x80000000


def derived(words: str, *path: int) -> bytes:
    """The private key at a path of hardened steps: BIP-39 with an empty passphrase, then SLIP-0010 for Ed25519."""
    seed = hashlib.pbkdf2_hmac("sha512", words.encode(), b"mnemonic", 2048)
    node = hmac.digest(b"ed25519 seed", seed, "sha512")
    for step in path:
        data = b"\x00" + node[:32] + (HARDENED + step).to_bytes(4, "big")
        node = hmac.digest(node[32:], data, "sha512")
    return node[:32]


def public(private: bytes) -> bytes:
    return bytes(SigningKey(private).verify_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a stopped node's home holds, for who has it together with the key store."""

    words: str
    account: AccountRecord
    key_log: list[bytes]
    client_keys: list[ClientKeyRecord]
    operations: list[list[bytes]]
    epoch_keys: list[dict[EpochId, bytes]]
    files: dict[Path, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """Two contexts with the same three accounts, in which all kinds of operations happened, and the disks."""

    one: Shared
    other: Shared
    unbound: str
    founder: Disk
    laptop: Disk
    phone: Disk


@pytest.fixture(scope="module")
def lived(nodes: ThreeNodes) -> Lived:
    one, other = pair = nodes.share(), nodes.share()
    for shared in pair:
        nodes.laptop.call(shared.context_id, shared.laptop, "set", key="k", value="v")
        nodes.phone.call(shared.context_id, shared.phone, "set", key="k", value="w")
        remove(nodes.founder, shared.founder, shared.context_id, shared.phone)
        nodes.founder.call(shared.context_id, shared.founder, "set", key="after", value="x")
        agree(shared.context_id, nodes.founder, nodes.laptop)
        nodes.laptop.call(shared.context_id, shared.laptop, "set", key="k", value="again")
        agree(shared.context_id, nodes.founder, nodes.laptop)
    unbound = new_identity(nodes.laptop)
    contexts = [ContextId.parse(shared.context_id) for shared in pair]
    with stopped(*nodes.all):
        founder, laptop, phone = (disk_of(node, contexts) for node in nodes.all)
    return Lived(one=one, other=other, unbound=unbound, founder=founder, laptop=laptop, phone=phone)


def disk_of(node: Merod, contexts: list[ContextId]) -> Disk:
    home = node.home / node.name
    files = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with node.unlocked() as vaulted:
        owner = vaulted.store.read(lambda tx: tx.accounts.owner())
        assert owner is not None
        seed = vaulted.seeds.open(owner.account_id, owner.sealed_seed)
        return vaulted.store.read(
            lambda tx: Disk(
                words=seed.words().reveal().decode(),
                account=owner,
                key_log=[*tx.accounts.key_log(owner.account_id)],
                client_keys=[*tx.accounts.client_keys()],
                operations=[[each.envelope for each in tx.operations.scan(context)] for context in contexts],
                epoch_keys=[dict(tx.epochs.keys(context)) for context in contexts],
                files=files,
            )
        )


# Derived


def test_the_words_alone_give_every_client_key(lived: Lived) -> None:
    disk = lived.laptop

    assert len(disk.words.split()) == 24
    assert {lived.one.laptop, lived.other.laptop, lived.unbound} <= {str(each.public_key) for each in disk.client_keys}
    for each in disk.client_keys:
        private = derived(disk.words, 44, 397, 1, each.device, each.slot, each.generation)
        assert public(private) == bytes(each.public_key)


def test_the_words_alone_give_the_account(lived: Lived) -> None:
    disk, restored = lived.laptop, Seed.from_words(lived.laptop.words)

    assert verify_key_log([incept(restored).encoded]).account_id == disk.account.account_id
    assert verify_key_log(disk.key_log).account_id == disk.account.account_id
    assert bytes(restored.account_key(0).public_key) == public(derived(disk.words, 44, 397, 0))


def test_each_context_has_a_key_and_a_slot_of_its_own(lived: Lived) -> None:
    for disk in (lived.founder, lived.laptop, lived.phone):
        keys = disk.client_keys
        bound = [each.context_id for each in keys if each.context_id is not None]

        assert len({each.public_key for each in keys}) == len({(each.device, each.slot) for each in keys}) == len(keys)
        assert len(set(bound)) == len(bound) >= 2


def test_a_restarted_node_signs_at_once_with_the_same_key_and_asks_nothing(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    unbound = new_identity(nodes.laptop)

    with stopped(nodes.laptop):
        said_before = len(nodes.laptop.log)
    nodes.laptop.call(shared.context_id, shared.laptop, "set", key="after", value="2")

    eventually(
        lambda: nodes.founder.call(shared.context_id, shared.founder, "get", key="after") == "2",
        "the founder takes what the restarted node signed",
    )
    assert new_identity(nodes.laptop) not in {unbound, shared.laptop}
    assert "assword" not in nodes.laptop.log[said_before:]


# Unlinkable


def test_two_contexts_of_the_same_accounts_share_nothing_in_any_operation(lived: Lived) -> None:
    here, there = lived.founder.operations
    keys = {bytes(PublicKey.parse(key)) for key in (lived.one.founder, lived.one.laptop, lived.one.phone)}

    assert keys <= said(here)
    assert not said(here) & said(there)


def test_no_operation_names_an_account(lived: Lived) -> None:
    for disk in (lived.founder, lived.laptop, lived.phone):
        root = (bytes(disk.account.account_id), public(derived(disk.words, 44, 397, 0)))
        for envelope in (each for operations in lived.founder.operations for each in operations):
            assert not any(name in envelope for name in root)


def test_two_contexts_share_no_topic(lived: Lived) -> None:
    contexts = [ContextId.parse(shared.context_id) for shared in (lived.one, lived.other)]
    topics = [
        {topic(context, key) for key in keys.values()}
        for context, keys in zip(contexts, lived.founder.epoch_keys, strict=True)
    ]

    assert all(len(each) == 2 for each in topics), "each had an epoch before the removal and one after it"
    assert topics[0].isdisjoint(topics[1])


def said(operations: list[bytes]) -> set[bytes | str]:
    """Every byte string and text that could tell one from another, the application's own description left out.

    The application is the same by choice, and public; so its id and code are in both.
    """
    found: set[bytes | str] = set()
    for envelope in operations:
        body = read_operation(envelope).operation.body
        of_application: set[bytes | str] = set()
        if isinstance(body, Genesis):
            binding = body.application
            of_application = {bytes(binding.application_id), bytes(binding.blob_id), binding.source, binding.metadata}
        found |= set(leaves(parse_canonical(envelope))) - of_application
    return {each for each in found if len(each) >= 8}


def leaves(value: Value) -> Iterator[bytes | str]:
    """The strings of a value, and those of values inside its byte strings."""
    match value:
        case bytes():
            inner = inside(value)
            yield from [value] if inner is None else leaves(inner)
        case str():
            yield value
        case list():
            for each in value:
                yield from leaves(each)
        case dict():
            for each in value.values():
                yield from leaves(each)
        case _:
            return


def inside(value: bytes) -> list[Value] | dict[int | str, Value] | None:
    """The array or map that a byte string encodes, if it does."""
    try:
        inner = parse_canonical(value)
    except NotCanonicalError:
        return None
    return inner if isinstance(inner, list | dict) else None


# At rest


def test_what_lies_in_the_home_shows_no_secret_and_no_id(nodes: ThreeNodes, lived: Lived) -> None:
    disk = lived.laptop
    home = nodes.laptop.home / nodes.laptop.name
    secrets = [disk.words.encode(), Seed.from_words(disk.words).entropy.reveal(), derived(disk.words, 44, 397, 0)]
    secrets += [derived(disk.words, 44, 397, 1, each.device, each.slot, each.generation) for each in disk.client_keys]
    secrets += [key for keys in disk.epoch_keys for key in keys.values()]
    ids = [lived.one.context_id, lived.other.context_id, str(disk.account.account_id)]
    ids += [str(each.public_key) for each in disk.client_keys]

    assert len(disk.files) >= 3
    for data in (*disk.files.values(), nodes.laptop.log.encode()):
        assert not any(secret in data or secret.hex().encode() in data for secret in secrets)
    assert not disk.files[home / "data" / "node.db"].startswith(b"SQLite format 3")
    assert not [path for path in disk.files for each in ids if each in str(path.relative_to(home))]
    assert {path.stat().st_mode & 0o077 for path in disk.files if path.exists()} == {0}
