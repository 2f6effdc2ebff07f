"""What every store keeps about contexts, operations, state, applications, blobs, aliases and accounts."""

from itertools import pairwise

import pytest
from tests.contract.store_records import (
    AT,
    account,
    account_id,
    add_account,
    add_context,
    application,
    application_id,
    blob_id,
    client_key,
    context,
    context_id,
    epoch_id,
    operation_id,
    public_key,
)

from meroid.errors import ConflictError
from meroid.service.ports.content import AliasScope
from meroid.service.ports.store import Store, Transaction


class ContextsContract:
    """Contexts and what goes with them."""

    def test_contexts_are_listed_oldest_first(self, store: Store) -> None:
        for number in (2, 0, 1):
            add_context(store, number)

        assert store.read(lambda tx: tx.contexts.list()) == (context(0), context(1), context(2))

    def test_root_and_application_of_a_context_change(self, store: Store) -> None:
        there = add_context(store)

        store.write(lambda tx: tx.contexts.set_root(there, b"r" * 32))
        store.write(lambda tx: tx.contexts.set_application(there, application_id(5)))

        record = store.read(lambda tx: tx.contexts.get(there))
        assert record is not None
        assert (record.root_hash, record.application_id) == (b"r" * 32, application_id(5))

    def test_addresses_of_other_nodes_are_kept_once_and_go_with_their_context(self, store: Store) -> None:
        one, other = add_context(store, 0), add_context(store, 1)

        store.write(lambda tx: tx.contexts.keep_endpoints(one, ["tcp/192.0.2.1:1", "tcp/192.0.2.2:1"]))
        store.write(lambda tx: tx.contexts.keep_endpoints(one, ["tcp/192.0.2.1:1"]))
        store.write(lambda tx: tx.contexts.keep_endpoints(other, ["tcp/192.0.2.1:1"]))

        assert store.read(lambda tx: tx.contexts.endpoints()) == ("tcp/192.0.2.1:1", "tcp/192.0.2.2:1")
        store.write(lambda tx: tx.contexts.remove(one))
        assert store.read(lambda tx: tx.contexts.endpoints()) == ("tcp/192.0.2.1:1",)

    def test_a_change_of_a_context_that_is_gone_is_refused(self, store: Store) -> None:
        with pytest.raises(ConflictError):
            store.write(lambda tx: tx.contexts.set_root(context_id(), bytes(32)))

    def test_nothing_is_stored_for_a_context_that_is_not_here(self, store: Store) -> None:
        def operation(tx: Transaction) -> None:
            tx.operations.append(context_id(), operation_id(), b"e", applied=True, at=AT)

        def value(tx: Transaction) -> None:
            tx.state.write(context_id(), {b"k": b"v"})

        def epoch(tx: Transaction) -> None:
            tx.epochs.put(context_id(), epoch_id(), bytes(32))

        for work in (operation, value, epoch):
            with pytest.raises(ConflictError):
                store.write(work)

    def test_removing_a_context_takes_all_that_is_its_own_and_nothing_else(self, store: Store) -> None:
        gone, other = add_context(store, 0), add_context(store, 1)
        add_account(store)

        def fill(tx: Transaction) -> None:
            for number, there in enumerate((gone, other)):
                tx.operations.append(there, operation_id(number), b"e", applied=True, at=AT)
                tx.state.write(there, {b"k": b"v"})
                tx.epochs.put(there, epoch_id(), bytes(32))
                tx.aliases.add(AliasScope.IDENTITY, there, "me", public_key(number))
                tx.accounts.add_client_key(client_key(number, bound_to=there))
            tx.aliases.add(AliasScope.CONTEXT, None, "notes", gone)

        store.write(fill)

        assert store.write(lambda tx: tx.contexts.remove(gone))
        assert not store.write(lambda tx: tx.contexts.remove(gone))

        def check(tx: Transaction) -> None:
            assert tx.contexts.list() == (context(1),)
            assert tx.operations.get(operation_id(0)) is None
            assert tx.operations.get(operation_id(1)) is not None
            assert (tx.state.size(gone), tx.state.size(other)) == (0, 2)
            assert (len(tx.epochs.keys(gone)), len(tx.epochs.keys(other))) == (0, 1)
            assert tx.aliases.list(AliasScope.IDENTITY, gone) == {}
            assert tx.aliases.list(AliasScope.IDENTITY, other) == {"me": public_key(1)}
            assert tx.aliases.get(AliasScope.CONTEXT, None, "notes") == gone
            assert len(tx.accounts.client_keys(context_id=gone)) == 1

        store.read(check)

    def test_an_operation_is_stored_once(self, store: Store) -> None:
        there = add_context(store)

        def append(tx: Transaction) -> bool:
            return tx.operations.append(there, operation_id(), b"envelope", applied=False, at=AT)

        assert store.write(append)
        assert not store.write(append)
        stored = store.read(lambda tx: tx.operations.get(operation_id()))
        assert stored is not None
        assert (stored.envelope, stored.applied, stored.received_at) == (b"envelope", False, AT)

    def test_operations_are_scanned_in_order_over_many_pages(self, store: Store) -> None:
        there, other = add_context(store, 0), add_context(store, 1)

        def fill(tx: Transaction) -> None:
            for number in range(500):
                tx.operations.append(
                    other if number % 5 == 0 else there, operation_id(number), b"e", applied=True, at=AT
                )

        store.write(fill)

        scanned = store.read(lambda tx: list(tx.operations.scan(there)))
        assert [stored.operation_id for stored in scanned] == [operation_id(n) for n in range(500) if n % 5]
        assert all(a.position < b.position for a, b in pairwise(scanned))

    def test_a_scan_goes_on_while_its_work_marks_and_appends(self, store: Store) -> None:
        there = add_context(store)

        def work(tx: Transaction) -> int:
            for number in range(200):
                tx.operations.append(there, operation_id(number), b"e", applied=False, at=AT)
            for stored in tx.operations.scan(there):
                tx.operations.mark_applied([stored.operation_id], applied=True)
            return sum(stored.applied for stored in tx.operations.scan(there))

        assert store.write(work) == 200

    def test_a_position_is_never_given_twice(self, store: Store) -> None:
        def append(tx: Transaction) -> int:
            tx.contexts.add(context())
            tx.operations.append(context_id(), operation_id(), b"e", applied=True, at=AT)
            stored = tx.operations.get(operation_id())
            assert stored is not None
            tx.contexts.remove(context_id())
            return stored.position

        assert store.write(append) < store.write(append)

    def test_state_is_set_changed_and_removed_per_context(self, store: Store) -> None:
        there, other = add_context(store, 0), add_context(store, 1)
        store.write(lambda tx: tx.state.write(there, {b"a": b"1", b"b": b"22", b"": b"empty key"}))
        store.write(lambda tx: tx.state.write(other, {b"a": b"other"}))

        store.write(lambda tx: tx.state.write(there, {b"a": b"", b"b": None, b"nothing": None}))

        def check(tx: Transaction) -> None:
            assert tx.state.read(there, b"a") == b""
            assert tx.state.read(there, b"b") is None
            assert tx.state.read(there, b"") == b"empty key"
            assert tx.state.read(other, b"a") == b"other"
            assert tx.state.size(there) == 1 + len(b"empty key")

        store.read(check)
        store.write(lambda tx: tx.state.clear(there))
        assert store.read(lambda tx: (tx.state.size(there), tx.state.size(other))) == (0, 6)

    def test_an_epoch_key_that_is_here_stays(self, store: Store) -> None:
        there = add_context(store)

        store.write(lambda tx: tx.epochs.put(there, epoch_id(0), b"a" * 32))
        store.write(lambda tx: tx.epochs.put(there, epoch_id(0), b"b" * 32))
        store.write(lambda tx: tx.epochs.put(there, epoch_id(1), b"c" * 32))

        assert store.read(lambda tx: tx.epochs.keys(there)) == {epoch_id(0): b"a" * 32, epoch_id(1): b"c" * 32}


class ApplicationsContract:
    """Applications, blobs and aliases."""

    def test_an_application_is_put_replaced_listed_and_removed(self, store: Store) -> None:
        store.write(lambda tx: tx.applications.put(application(1)))
        store.write(lambda tx: tx.applications.put(application(0, version="1.0.0")))
        store.write(lambda tx: tx.applications.put(application(0, version="1.0.1")))

        listed = store.read(lambda tx: tx.applications.list())
        assert listed == (application(0, version="1.0.1"), application(1))
        assert store.write(lambda tx: tx.applications.remove(application_id(0)))
        assert not store.write(lambda tx: tx.applications.remove(application_id(0)))
        assert store.read(lambda tx: tx.applications.get(application_id(0))) is None

    def test_a_blob_comes_back_in_its_chunks(self, store: Store) -> None:
        chunks = [b"a" * 1024 * 1024, b"b" * 1024 * 1024, b"tail"]

        store.write(lambda tx: tx.blobs.put(blob_id(), iter(chunks), at=AT))

        assert store.read(lambda tx: list(tx.blobs.chunks(blob_id()))) == chunks
        assert store.read(lambda tx: tx.blobs.size(blob_id())) == 2 * 1024 * 1024 + 4

    def test_a_blob_that_is_here_stays(self, store: Store) -> None:
        store.write(lambda tx: tx.blobs.put(blob_id(), [b"first"], at=AT))
        store.write(lambda tx: tx.blobs.put(blob_id(), [b"second"], at=AT + 1))

        assert store.read(lambda tx: list(tx.blobs.chunks(blob_id()))) == [b"first"]

    def test_a_blob_without_content_is_a_blob(self, store: Store) -> None:
        store.write(lambda tx: tx.blobs.put(blob_id(), [], at=AT))

        assert store.read(lambda tx: tx.blobs.list()) == ((blob_id(), 0),)
        assert store.read(lambda tx: list(tx.blobs.chunks(blob_id()))) == []

    def test_a_removed_blob_is_gone_and_can_come_again(self, store: Store) -> None:
        store.write(lambda tx: tx.blobs.put(blob_id(), [b"x"], at=AT))

        assert store.write(lambda tx: tx.blobs.remove(blob_id()))
        assert not store.write(lambda tx: tx.blobs.remove(blob_id()))
        assert store.read(lambda tx: tx.blobs.size(blob_id())) is None
        store.write(lambda tx: tx.blobs.put(blob_id(), [b"y"], at=AT))
        assert store.read(lambda tx: list(tx.blobs.chunks(blob_id()))) == [b"y"]

    def test_an_alias_is_taken_once_in_its_scope(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            assert tx.aliases.add(AliasScope.CONTEXT, None, "b", context_id(0))
            assert not tx.aliases.add(AliasScope.CONTEXT, None, "b", context_id(1))
            assert tx.aliases.add(AliasScope.CONTEXT, None, "a", context_id(1))
            assert tx.aliases.add(AliasScope.APPLICATION, None, "b", application_id())
            assert tx.aliases.add(AliasScope.IDENTITY, context_id(0), "b", public_key(0))
            assert tx.aliases.add(AliasScope.IDENTITY, context_id(1), "b", public_key(1))

        store.write(work)

        def check(tx: Transaction) -> None:
            assert list(tx.aliases.list(AliasScope.CONTEXT, None).items()) == [
                ("a", context_id(1)),
                ("b", context_id(0)),
            ]
            assert tx.aliases.get(AliasScope.IDENTITY, context_id(1), "b") == public_key(1)
            assert tx.aliases.get(AliasScope.IDENTITY, None, "b") is None

        store.read(check)
        assert store.write(lambda tx: tx.aliases.remove(AliasScope.CONTEXT, None, "b"))
        assert not store.write(lambda tx: tx.aliases.remove(AliasScope.CONTEXT, None, "b"))


class AccountsContract:
    """Accounts, key logs and client keys."""

    def test_an_account_comes_with_the_start_of_its_key_log(self, store: Store) -> None:
        add_account(store, 1)
        add_account(store, 0, owner=True)

        def check(tx: Transaction) -> None:
            assert tx.accounts.list() == (account(0, owner=True), account(1))
            assert tx.accounts.owner() == account(0, owner=True)
            assert tx.accounts.get(account_id(1)) == account(1)
            assert tx.accounts.key_log(account_id(1)) == (b"inception",)

        store.read(check)

    def test_there_is_one_owner(self, store: Store) -> None:
        add_account(store, 0, owner=True)

        with pytest.raises(ConflictError):
            add_account(store, 1, owner=True)

        assert store.read(lambda tx: tx.accounts.list()) == (account(0, owner=True),)

    @pytest.mark.parametrize("sequence", [0, 1, 3])
    def test_a_key_log_grows_at_its_end_only(self, store: Store, sequence: int) -> None:
        of = add_account(store)
        store.write(lambda tx: tx.accounts.append_key_log(of, 1, b"second"))

        with pytest.raises(ConflictError):
            store.write(lambda tx: tx.accounts.append_key_log(of, sequence, b"other"))

        assert store.read(lambda tx: tx.accounts.key_log(of)) == (b"inception", b"second")

    def test_slots_are_counted_per_account_and_device_and_never_given_twice(self, store: Store) -> None:
        of, other = add_account(store, 0), add_account(store, 1)

        def work(tx: Transaction) -> None:
            assert tx.accounts.next_slot(of, 0) == 0
            tx.accounts.add_client_key(client_key(0, slot=0))
            tx.accounts.add_client_key(client_key(1, slot=4))
            assert tx.accounts.next_slot(of, 0) == 5
            assert tx.accounts.next_slot(of, 1) == 0
            assert tx.accounts.next_slot(other, 0) == 0

        store.write(work)

    def test_a_place_in_the_tree_holds_one_client_key(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.accounts.add_client_key(client_key(0, slot=0)))

        with pytest.raises(ConflictError):
            store.write(lambda tx: tx.accounts.add_client_key(client_key(1, slot=0)))

    def test_a_client_key_of_an_unknown_account_is_refused(self, store: Store) -> None:
        with pytest.raises(ConflictError):
            store.write(lambda tx: tx.accounts.add_client_key(client_key()))

    def test_a_client_key_is_bound_once_for_good(self, store: Store) -> None:
        of = add_account(store)
        store.write(lambda tx: tx.accounts.add_client_key(client_key()))

        assert store.read(lambda tx: tx.accounts.count_unbound(of)) == 1
        assert store.write(lambda tx: tx.accounts.bind_client_key(public_key(), context_id(0)))
        assert not store.write(lambda tx: tx.accounts.bind_client_key(public_key(), context_id(1)))
        assert not store.write(lambda tx: tx.accounts.bind_client_key(public_key(9), context_id(0)))
        assert store.read(lambda tx: tx.accounts.client_key(public_key())) == client_key(bound_to=context_id(0))
        assert store.read(lambda tx: tx.accounts.count_unbound(of)) == 0

    def test_a_confirmed_backup_is_noted_for_one_account(self, store: Store) -> None:
        one, other = add_account(store, 0), add_account(store, 1)

        store.write(lambda tx: tx.accounts.set_backed_up(one, AT))

        kept = store.read(lambda tx: {each.account_id: each.backed_up_at for each in tx.accounts.list()})
        assert kept == {one: AT, other: None}

    def test_client_keys_are_narrowed_by_account_and_context(self, store: Store) -> None:
        add_account(store, 0)
        add_account(store, 1)
        keys = [
            client_key(3, of=0, bound_to=context_id(0)),
            client_key(1, of=1, bound_to=context_id(0)),
            client_key(2, of=0),
        ]

        def add(tx: Transaction) -> None:
            for key in keys:
                tx.accounts.add_client_key(key)

        store.write(add)

        def check(tx: Transaction) -> None:
            assert tx.accounts.client_keys() == tuple(keys)
            assert tx.accounts.client_keys(account_id=account_id(0)) == (keys[0], keys[2])
            assert tx.accounts.client_keys(context_id=context_id(0)) == (keys[0], keys[1])
            assert tx.accounts.client_keys(account_id=account_id(1), context_id=context_id(0)) == (keys[1],)
            assert tx.accounts.client_keys(account_id=account_id(7)) == ()

        store.read(check)
