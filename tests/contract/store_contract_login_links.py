"""What every store keeps about log-in links and sign-ups."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from tests.contract.store_records import AT, account_id, add_account

from meroid.service.ports.login_links import LinkKind, LoginLinkRecord
from meroid.service.ports.store import Store, Transaction
from meroid.store.errors import StoreConflictError

END = AT + 1000


def link(number: int = 0) -> LoginLinkRecord:
    return LoginLinkRecord(
        link_id=f"link-{number}",
        code_hash=bytes([number]) * 32,
        kind=LinkKind.NEW,
        account_id=None,
        label="Bob",
        made_by=account_id(),
        created_at=AT,
        expires_at=END,
    )


def _add(tx: Transaction, record: LoginLinkRecord) -> None:
    tx.login_links.add(record)


def _sign_up(tx: Transaction, address: str, at: int) -> None:
    tx.login_links.note_sign_up(address, at=at)


class LoginLinksContract:
    """Single use is the store's promise."""

    def test_a_link_is_found_by_its_id_and_by_its_code(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.login_links.add(link()))
        assert store.read(lambda tx: tx.login_links.get("link-0")) == link()
        assert store.read(lambda tx: tx.login_links.find(link().code_hash)) == link()
        assert store.read(lambda tx: tx.login_links.find(b"x" * 32)) is None
        with pytest.raises(StoreConflictError):
            store.write(lambda tx: tx.login_links.add(replace(link(), link_id="another")))

    def test_a_link_is_used_once_however_many_try(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.login_links.add(link()))

        def use(at: int) -> bool:
            return store.write(lambda tx: tx.login_links.use("link-0", account_id(), at=at))

        assert not use(END)
        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(use, [AT] * 8)) == [*[False] * 7, True]
        used = store.read(lambda tx: tx.login_links.get("link-0"))
        assert used == replace(link(), used_at=AT, account_id=account_id())
        assert not store.write(lambda tx: tx.login_links.withdraw("link-0", at=AT))

    def test_open_links_are_those_that_can_be_redeemed(self, store: Store) -> None:
        add_account(store)
        for record in map(link, range(3)):
            store.write(partial(_add, record=record))
        assert store.write(lambda tx: tx.login_links.withdraw("link-0", at=AT))
        store.write(lambda tx: tx.login_links.use("link-1", account_id(), at=AT))
        assert [each.link_id for each in store.read(lambda tx: tx.login_links.open(at=AT))] == ["link-2"]
        assert store.read(lambda tx: tx.login_links.open(at=AT, made_by=account_id())) == (link(2),)
        assert store.read(lambda tx: tx.login_links.open(at=END)) == ()
        assert store.write(lambda tx: tx.login_links.forget(expired_before=END)) == 0
        assert store.write(lambda tx: tx.login_links.forget(expired_before=END + 1)) == 3

    def test_sign_ups_count_for_one_address_and_a_while(self, store: Store) -> None:
        for address, at in (("a", AT), ("a", AT + 5), ("b", AT)):
            store.write(partial(_sign_up, address=address, at=at))
        assert store.read(lambda tx: tx.login_links.sign_ups("a", since=AT)) == (AT, AT + 5)
        assert store.read(lambda tx: tx.login_links.sign_ups("a", since=AT + 1)) == (AT + 5,)
        assert store.write(lambda tx: tx.login_links.forget_sign_ups(before=AT + 1)) == 2
        assert store.read(lambda tx: tx.login_links.sign_ups("b", since=0)) == ()
