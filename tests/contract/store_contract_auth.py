"""What every store keeps for the auth service: single use, one first owner, revocation, counts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.contract.store_records import (
    AT,
    account_id,
    add_account,
    digest,
    family,
    public_key,
    refresh,
    root_key,
    signing_key,
    token_key,
)

from meroid.errors import ConflictError
from meroid.service.ports.auth import AddressCount, LoginCount, Standing
from meroid.service.ports.store import Store, Transaction


class CredentialsContract:
    """Root keys and token keys."""

    def test_there_is_one_first_owner_among_many_who_try(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.auth.set_setup_code(b"h" * 32))

        def claim(number: int) -> bool:
            return store.write(lambda tx: tx.auth.claim_first_owner(root_key(number)))

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(claim, range(8))) == 1
        assert store.read(lambda tx: (len(tx.auth.root_keys()), tx.auth.setup_code())) == (1, None)

    def test_a_revoked_root_key_is_remembered(self, store: Store) -> None:
        add_account(store)
        assert not store.read(lambda tx: tx.auth.has_root_keys())
        store.write(lambda tx: tx.auth.add_root_key(root_key()))

        assert store.write(lambda tx: tx.auth.revoke_root_key("root-0", at=AT))
        assert not store.write(lambda tx: tx.auth.revoke_root_key("root-0", at=AT + 1))

        def check(tx: Transaction) -> None:
            assert tx.auth.has_root_keys()
            assert tx.auth.root_key("root-0") == replace(root_key(), revoked_at=AT)
            assert tx.auth.find_root_key("user_password", "user-0") is None

        store.read(check)
        assert not store.write(lambda tx: tx.auth.claim_first_owner(root_key(1)))

    def test_a_login_belongs_to_one_live_root_key(self, store: Store) -> None:
        add_account(store)
        assert store.write(lambda tx: tx.auth.add_root_key(root_key(0, identifier="ann")))
        assert not store.write(lambda tx: tx.auth.add_root_key(root_key(1, identifier="ann")))
        assert store.read(lambda tx: tx.auth.root_key("root-1")) is None

        store.write(lambda tx: tx.auth.revoke_root_key("root-0", at=AT))

        assert store.write(lambda tx: tx.auth.add_root_key(root_key(1, identifier="ann")))
        assert store.read(lambda tx: tx.auth.find_root_key("user_password", "ann")) == root_key(1, identifier="ann")

    def test_root_keys_are_listed_oldest_first(self, store: Store) -> None:
        add_account(store, 0)
        add_account(store, 1)

        def add(tx: Transaction) -> None:
            for number, of in ((2, 1), (0, 0), (1, 0)):
                tx.auth.add_root_key(root_key(number, of=of))

        store.write(add)

        assert store.read(lambda tx: [key.key_id for key in tx.auth.root_keys()]) == ["root-0", "root-1", "root-2"]
        assert store.read(lambda tx: tx.auth.root_keys(account_id(1))) == (root_key(2, of=1),)

    def test_a_log_in_is_noted_and_can_change_the_verifier(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.auth.add_root_key(root_key()))

        store.write(lambda tx: tx.auth.touch_root_key("root-0", at=AT + 1))
        assert store.read(lambda tx: tx.auth.root_key("root-0")) == replace(root_key(), last_used_at=AT + 1)
        store.write(lambda tx: tx.auth.touch_root_key("root-0", at=AT + 2, verifier="new"))
        touched = replace(root_key(), last_used_at=AT + 2, verifier="new")
        assert store.read(lambda tx: tx.auth.root_key("root-0")) == touched

    def test_token_keys_are_stored_listed_and_revoked(self, store: Store) -> None:
        add_account(store)
        bound = token_key(1, executor=public_key())

        def add(tx: Transaction) -> None:
            tx.auth.add_root_key(root_key())
            for record in (token_key(0), bound, token_key(2, executor=public_key())):
                tx.auth.add_token_key(record)

        store.write(add)

        assert store.read(lambda tx: tx.auth.token_key("client-1")) == bound
        assert len(store.read(lambda tx: tx.auth.token_keys(account_id()))) == 3
        assert store.read(lambda tx: tx.auth.token_keys(account_id(1))) == ()
        assert store.write(lambda tx: tx.auth.revoke_token_key("client-1", at=AT))
        assert not store.write(lambda tx: tx.auth.revoke_token_key("client-1", at=AT))
        assert store.write(lambda tx: tx.auth.revoke_bound(public_key(), at=AT + 5)) == 1
        assert store.write(lambda tx: tx.auth.revoke_bound(public_key(), at=AT + 6)) == 0
        revoked = store.read(lambda tx: [key.revoked_at for key in tx.auth.token_keys()])
        assert revoked == [None, AT, AT + 5]

    def test_a_token_key_without_its_root_key_is_refused(self, store: Store) -> None:
        add_account(store)

        with pytest.raises(ConflictError):
            store.write(lambda tx: tx.auth.add_token_key(token_key()))


class LoginsContract:
    """Families, refresh tokens and signing keys."""

    @staticmethod
    def _fill(store: Store) -> None:
        add_account(store)

        def work(tx: Transaction) -> None:
            tx.auth.add_root_key(root_key())
            tx.auth.add_token_key(token_key())
            tx.auth.open_family(family(0, key_id="root-0"), refresh(0, of=0))
            tx.auth.open_family(family(1, key_id="client-0"), refresh(1, of=1))

        store.write(work)

    def test_the_standing_of_a_token_holds_all_that_decides(self, store: Store) -> None:
        self._fill(store)

        def check(tx: Transaction) -> None:
            of_root = Standing(family=family(0, key_id="root-0"), root=root_key(), client=None)
            of_client = Standing(family=family(1, key_id="client-0"), root=root_key(), client=token_key())
            assert tx.auth.standing("root-0", "family-0") == of_root
            assert tx.auth.standing("client-0", "family-1") == of_client

        store.read(check)

    @pytest.mark.parametrize(
        ("key_id", "family_id"),
        [("root-0", "family-1"), ("client-0", "family-0"), ("root-0", "family-9"), ("root-9", "family-0")],
    )
    def test_a_family_of_another_key_gives_no_standing(self, store: Store, key_id: str, family_id: str) -> None:
        self._fill(store)

        assert store.read(lambda tx: tx.auth.standing(key_id, family_id)) is None

    def test_a_family_of_an_unknown_key_gives_no_standing(self, store: Store) -> None:
        store.write(lambda tx: tx.auth.open_family(family(key_id="nobody"), refresh()))

        assert store.read(lambda tx: tx.auth.standing("nobody", "family-0")) is None

    def test_the_standing_shows_what_was_revoked(self, store: Store) -> None:
        self._fill(store)

        def revoke(tx: Transaction) -> None:
            assert tx.auth.revoke_family("family-1", at=AT + 1)
            assert not tx.auth.revoke_family("family-1", at=AT + 9)
            tx.auth.revoke_root_key("root-0", at=AT + 2)
            tx.auth.revoke_token_key("client-0", at=AT + 3)

        store.write(revoke)

        standing = store.read(lambda tx: tx.auth.standing("client-0", "family-1"))
        assert standing is not None
        assert standing.client is not None
        revoked = (standing.family.revoked_at, standing.root.revoked_at, standing.client.revoked_at)
        assert revoked == (AT + 1, AT + 2, AT + 3)

    def test_a_family_keeps_whether_permissions_were_asked_for(self, store: Store) -> None:
        narrowed = [None, (), ("admin", "context[ä,\n]")]

        def add(tx: Transaction) -> None:
            for number, permissions in enumerate(narrowed):
                record = replace(family(number), narrowed_to=permissions, logged_in_at=None)
                tx.auth.open_family(record, refresh(number, of=number))

        store.write(add)

        def check(tx: Transaction) -> None:
            for number, permissions in enumerate(narrowed):
                stored = tx.auth.family(f"family-{number}")
                assert stored is not None
                assert (stored.narrowed_to, stored.logged_in_at) == (permissions, None)

        store.read(check)

    def test_a_refresh_token_is_exchanged_once_among_many_who_try(self, store: Store) -> None:
        self._fill(store)

        def exchange(number: int) -> bool:
            return store.write(lambda tx: tx.auth.consume_refresh("refresh-0", refresh(100 + number), at=AT + number))

        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(exchange, range(8)))

        assert sum(won) == 1
        winner = won.index(True)
        used = store.read(lambda tx: tx.auth.refresh("refresh-0"))
        assert used == replace(refresh(0), successor=f"refresh-{100 + winner}", exchanged_at=AT + winner)
        stored = store.read(lambda tx: [tx.auth.refresh(f"refresh-{100 + n}") for n in range(8)])
        assert [record is not None for record in stored] == won

    def test_an_unknown_refresh_token_is_not_exchanged(self, store: Store) -> None:
        self._fill(store)

        assert not store.write(lambda tx: tx.auth.consume_refresh("nothing", refresh(9), at=AT))
        assert store.read(lambda tx: tx.auth.refresh("refresh-9")) is None

    def test_a_refresh_token_that_was_not_exchanged_gets_another_time(self, store: Store) -> None:
        self._fill(store)

        store.write(lambda tx: tx.auth.renew_refresh("refresh-0", issued_at=AT + 1, expires_at=AT + 9000))
        assert store.read(lambda tx: tx.auth.refresh("refresh-0")) == replace(
            refresh(0), issued_at=AT + 1, expires_at=AT + 9000
        )
        store.write(lambda tx: tx.auth.consume_refresh("refresh-0", refresh(2), at=AT))
        store.write(lambda tx: tx.auth.renew_refresh("refresh-0", issued_at=AT + 2, expires_at=AT + 1))
        kept = store.read(lambda tx: tx.auth.refresh("refresh-0"))
        assert kept is not None
        assert kept.issued_at == AT + 1

    def test_expired_refresh_tokens_are_forgotten(self, store: Store) -> None:
        self._fill(store)
        store.write(lambda tx: tx.auth.consume_refresh("refresh-0", refresh(2, expires_at=AT + 5000), at=AT))

        assert store.write(lambda tx: tx.auth.forget_refreshes(expired_before=AT + 1001)) == 2
        assert store.read(lambda tx: tx.auth.refresh("refresh-2")) is not None

    def test_one_signing_key_is_in_use(self, store: Store) -> None:
        assert store.write(lambda tx: tx.auth.add_signing_key(signing_key(0)))
        assert not store.write(lambda tx: tx.auth.add_signing_key(signing_key(1)))
        assert store.write(lambda tx: tx.auth.retire_signing_key("kid-0", at=AT + 1))
        assert not store.write(lambda tx: tx.auth.retire_signing_key("kid-0", at=AT + 2))
        assert store.write(lambda tx: tx.auth.add_signing_key(signing_key(1)))

        retired = replace(signing_key(0), retired_at=AT + 1)
        assert store.read(lambda tx: tx.auth.signing_keys()) == (signing_key(1), retired)

        assert not store.write(lambda tx: tx.auth.forget_signing_key("kid-1")), "it is in use"
        assert not store.write(lambda tx: tx.auth.forget_signing_key("kid-9"))
        assert store.write(lambda tx: tx.auth.forget_signing_key("kid-0"))
        assert store.read(lambda tx: tx.auth.signing_keys()) == (signing_key(1),)


class AttemptsContract:
    """Failed log-ins, the set-up code, settings."""

    def test_failures_are_counted_per_address_and_end_with_a_success(self, store: Store) -> None:
        login = digest("login", 0)

        def work(tx: Transaction) -> None:
            tx.auth.record_failure(login, "10.0.0.1", at=AT)
            tx.auth.record_failure(login, "10.0.0.1", at=AT + 1)
            tx.auth.record_failure(login, "10.0.0.2", at=AT + 2)
            tx.auth.record_failure(digest("login", 1), "10.0.0.1", at=AT + 3)

        store.write(work)

        counted = store.read(lambda tx: tx.auth.attempts(login, "10.0.0.1"))
        assert counted is not None
        assert (counted.failures, counted.last_failed_at, counted.last_succeeded_at) == (2, AT + 1, None)
        everywhere = store.read(lambda tx: tx.auth.login_attempts(login, since=AT))
        assert everywhere == LoginCount(failures=3, last_failed_at=AT + 2)
        recent = store.read(lambda tx: tx.auth.login_attempts(login, since=AT + 2))
        assert recent == LoginCount(failures=1, last_failed_at=AT + 2)

        store.write(lambda tx: tx.auth.record_success(login, "10.0.0.1", at=AT + 9))

        counted = store.read(lambda tx: tx.auth.attempts(login, "10.0.0.1"))
        assert counted is not None
        assert (counted.failures, counted.last_succeeded_at) == (0, AT + 9)
        assert store.read(lambda tx: tx.auth.attempts(login, "10.0.0.9")) is None

    def test_no_attempts_count_as_none(self, store: Store) -> None:
        nothing = store.read(lambda tx: tx.auth.login_attempts(digest("login", 0), since=0))

        assert nothing == LoginCount(failures=0, last_failed_at=None)

    def test_old_attempts_are_forgotten(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.auth.record_failure(digest("login", 0), "a", at=AT)
            tx.auth.record_failure(digest("login", 1), "a", at=AT)
            tx.auth.record_success(digest("login", 1), "a", at=AT + 10)
            tx.auth.record_success(digest("login", 2), "a", at=AT)

        store.write(work)

        assert store.write(lambda tx: tx.auth.forget_attempts(before=AT + 5)) == 2
        assert store.read(lambda tx: tx.auth.attempts(digest("login", 1), "a")) is not None

    def test_failures_beyond_the_room_are_dropped_oldest_first_and_successes_stay(self, store: Store) -> None:
        def work(tx: Transaction) -> int:
            tx.auth.record_failure(digest("login", 0), "a", at=AT)
            tx.auth.record_success(digest("login", 0), "a", at=AT)
            for number in range(1, 6):
                tx.auth.record_failure(digest("login", number), "a", at=AT + number)
            return tx.auth.evict_attempts(keep=3)

        assert store.write(work) == 2
        known = [store.read(lambda tx, n=n: tx.auth.attempts(digest("login", n), "a")) for n in range(6)]  # type: ignore[misc]
        assert [each is not None for each in known] == [True, False, False, True, True, True]
        assert store.write(lambda tx: tx.auth.evict_attempts(keep=3)) == 0

    def test_a_failing_address_is_kept_once_and_forgotten_by_age_and_number(self, store: Store) -> None:
        assert store.read(lambda tx: tx.auth.failing_address("a")) is None

        def work(tx: Transaction) -> None:
            for number, address in enumerate("abcde"):
                tx.auth.record_failing_address(address, AddressCount(level=9, last_failed_at=AT + number))
            tx.auth.record_failing_address("a", AddressCount(level=2, last_failed_at=AT + 9))

        store.write(work)

        assert store.read(lambda tx: tx.auth.failing_address("a")) == AddressCount(level=2, last_failed_at=AT + 9)
        assert (
            store.write(lambda tx: tx.auth.forget_failing_addresses(before=AT + 2, keep=3)) == 2
        )  # b by age, c by number
        left = store.read(lambda tx: [each for each in "abcde" if tx.auth.failing_address(each)])
        assert left == ["a", "d", "e"]

    def test_there_is_one_setup_code_the_latest(self, store: Store) -> None:
        assert store.read(lambda tx: tx.auth.setup_code()) is None

        store.write(lambda tx: tx.auth.set_setup_code(b"a" * 32))
        store.write(lambda tx: tx.auth.set_setup_code(b"b" * 32))

        assert store.read(lambda tx: tx.auth.setup_code()) == b"b" * 32

    def test_a_setting_is_kept_and_replaced(self, store: Store) -> None:
        assert store.read(lambda tx: tx.auth.setting("signup")) is None

        store.write(lambda tx: tx.auth.put_setting("signup", "closed"))
        store.write(lambda tx: tx.auth.put_setting("signup", "open"))

        assert store.read(lambda tx: tx.auth.setting("signup")) == "open"
