"""Backups: what comes back, with which words, and what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.account_cast import Owner, code_of, recovery_set, seed_of

from meroid.account.backup import (
    BackedUpContext,
    BackedUpSlot,
    BackupContents,
    backup_account,
    open_backup,
    seal_backup,
)
from meroid.account.client_keys import ClientKeyPath
from meroid.account.seed import Seed
from meroid.errors import MeroidError
from meroid.ids import AccountId, ContextId
from meroid.keys.canonical import canonical_bytes, parse_canonical
from meroid.keys.sealing import aead_seal, expand

OWNER = Owner()
OWNER.claim(0)
OWNER.rotate()
CONTEXTS = (ContextId(b"a" * 32), ContextId(b"b" * 32))
CONTENTS = BackupContents(
    account_id=OWNER.log.account_id,
    created_at=1_700_000_000_000,
    key_log=tuple(OWNER.entries),
    slots=(
        BackedUpSlot(path=ClientKeyPath(device=0, slot=0, generation=2), context_id=CONTEXTS[0]),
        BackedUpSlot(path=ClientKeyPath(device=0, slot=1), context_id=None),
        BackedUpSlot(path=ClientKeyPath(device=2, slot=0), context_id=CONTEXTS[1]),
    ),
    contexts=(
        BackedUpContext(context_id=CONTEXTS[0], endpoints=("tcp/192.0.2.1:7447", "quic/node.example:7447")),
        BackedUpContext(context_id=CONTEXTS[1], endpoints=()),
    ),
)
SEALED = seal_backup(CONTENTS, OWNER.seed)


def sealed(plaintext: bytes, *, account: AccountId = OWNER.log.account_id, seed: Seed = OWNER.seed) -> bytes:
    """Seal any bytes the way a backup is sealed."""
    salt = b"s" * 32
    key = expand(seed.backup_secret().reveal(), "meroid/backup/v1", salt)
    return canonical_bytes(
        [1, account, salt, aead_seal(key, bytes(12), plaintext, canonical_bytes(["meroid/backup/v1", 1, account]))]
    )


def test_a_backup_opens_with_the_words_and_gives_back_everything() -> None:
    restored = Seed.from_words(OWNER.seed.words().reveal().decode())
    assert open_backup(SEALED, restored) == CONTENTS
    assert backup_account(SEALED) == OWNER.log.account_id


def test_the_same_contents_are_sealed_to_other_bytes_each_time_and_show_nothing() -> None:
    assert seal_backup(CONTENTS, OWNER.seed) != SEALED
    for hidden in (CONTEXTS[0], CONTEXTS[1], b"node.example", OWNER.entries[1]):
        assert hidden not in SEALED


def test_a_backup_of_a_recovered_account_opens_with_the_new_words_only() -> None:
    owner = Owner()
    old = owner.seed
    owner.rotate(recovery=recovery_set("ann", threshold=1))
    owner.recover(seed_of("new"), "ann")
    contents = BackupContents(
        account_id=owner.log.account_id, created_at=0, key_log=tuple(owner.entries), slots=(), contexts=()
    )
    data = seal_backup(contents, owner.seed)
    assert open_backup(data, seed_of("new")) == contents
    assert code_of(lambda: open_backup(data, old)) == "backup_broken"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    changed = bytearray(SEALED)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MeroidError):
        open_backup(bytes(changed), OWNER.seed)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_input(data: bytes) -> None:
    with pytest.raises(MeroidError):
        open_backup(data, OWNER.seed)
    with pytest.raises(MeroidError):
        backup_account(data)


def test_every_cut_is_refused() -> None:
    for size in range(len(SEALED)):
        assert code_of(lambda size=size: open_backup(SEALED[:size], OWNER.seed)) == "not_canonical"  # type: ignore[misc]


def test_other_words_or_another_account_on_the_outside_do_not_open() -> None:
    assert code_of(lambda: open_backup(SEALED, seed_of("other"))) == "backup_broken"
    outside = parse_canonical(SEALED)
    assert isinstance(outside, list)
    moved = canonical_bytes([outside[0], bytes(Owner("other").log.account_id), *outside[2:]])
    assert code_of(lambda: open_backup(moved, OWNER.seed)) == "backup_broken"


def test_a_later_version_is_refused_with_a_code_of_its_own() -> None:
    assert code_of(lambda: open_backup(canonical_bytes([2, "anything"]), OWNER.seed)) == "backup_unknown_version"
    assert code_of(lambda: open_backup(canonical_bytes([True, bytes(32), bytes(32), b""]), OWNER.seed)) == "bad_backup"


@pytest.mark.parametrize(
    "changed",
    [
        {"more": 1},
        {"account": b"short"},
        {"created_at": True},
        {"created_at": -1},
        {"key_log": [1]},
        {"key_log": []},
        {"key_log": OWNER.entries[1:]},
        {"key_log": Owner("other").entries},
        {"slots": [[0, 0, 0]]},
        {"slots": [[0, 0, 0, b"short"]]},
        {"slots": [[0, True, 0, None]]},
        {"slots": [[0, 1, 0, None], [0, 0, 0, None]]},
        {"slots": [[0, 0, 0, None], [0, 0, 1, None]]},
        {"contexts": [[b"short", []]]},
        {"contexts": [[CONTEXTS[0], [1]]]},
        {"contexts": [[CONTEXTS[1], []], [CONTEXTS[0], []]]},
    ],
)
def test_sealed_nonsense_is_refused(changed: dict[str, Any]) -> None:
    fields = parse_canonical(CONTENTS.encoded())
    assert isinstance(fields, dict)
    data = sealed(canonical_bytes(fields | changed))
    assert code_of(lambda: open_backup(data, OWNER.seed)) == "bad_backup"


def test_contents_of_another_account_than_the_outside_says_are_refused() -> None:
    data = sealed(CONTENTS.encoded(), account=Owner("other").log.account_id)
    assert code_of(lambda: open_backup(data, OWNER.seed)) == "bad_backup"


def test_contents_out_of_order_are_refused_when_made() -> None:
    with pytest.raises(MeroidError):
        BackupContents(
            account_id=OWNER.log.account_id,
            created_at=0,
            key_log=(),
            slots=(CONTENTS.slots[1], CONTENTS.slots[0]),
            contexts=(),
        )
