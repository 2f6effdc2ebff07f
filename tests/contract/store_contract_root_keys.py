"""What every store keeps about root keys that change: passwords, families that end with them, used challenges."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.contract.store_records import AT, account_id, add_account, family, refresh, root_key, token_key

from meroid.service.ports.store import Store, Transaction

NONCE = b"n" * 32


class RootKeysContract:
    """Replacing a verifier, and ending what hangs on a root key."""

    def test_a_verifier_is_replaced_only_in_place_of_the_one_that_was_seen(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.auth.add_root_key(root_key()))

        def replace_it(old: str | None, new: str | None) -> bool:
            return store.write(lambda tx: tx.auth.replace_verifier("root-0", old=old, new=new, at=AT + 5))

        assert not replace_it("another", "new")
        assert not replace_it(None, "new")
        assert store.read(lambda tx: tx.auth.root_key("root-0")) == root_key()
        assert replace_it("$argon2id$...", "new")
        assert store.read(lambda tx: tx.auth.root_key("root-0")) == replace(
            root_key(), verifier="new", changed_at=AT + 5
        )
        assert replace_it("new", None)
        assert replace_it(None, "third")

        store.write(lambda tx: tx.auth.revoke_root_key("root-0", at=AT))
        assert not replace_it("third", "fourth")

    def test_what_a_live_key_grants_is_replaced(self, store: Store) -> None:
        add_account(store)

        def add(tx: Transaction) -> None:
            tx.auth.add_root_key(root_key())
            tx.auth.add_token_key(token_key())

        store.write(add)

        assert store.write(lambda tx: tx.auth.set_root_permissions("root-0", ["keys", "context:list[a]"]))
        assert store.write(lambda tx: tx.auth.set_token_permissions("client-0", ("context:list",)))
        root, client = store.read(lambda tx: (tx.auth.root_key("root-0"), tx.auth.token_key("client-0")))
        assert root == replace(root_key(), permissions=("keys", "context:list[a]"))
        assert client == replace(token_key(), permissions=("context:list",))
        assert not store.write(lambda tx: tx.auth.set_root_permissions("root-9", ("admin",)))
        assert not store.write(lambda tx: tx.auth.set_token_permissions("root-0", ("admin",)))

        store.write(lambda tx: (tx.auth.revoke_root_key("root-0", at=AT), tx.auth.revoke_token_key("client-0", at=AT)))
        assert not store.write(lambda tx: tx.auth.set_root_permissions("root-0", ("admin",)))
        assert not store.write(lambda tx: tx.auth.set_token_permissions("client-0", ("admin",)))

    def test_the_last_end_is_that_of_live_token_keys_that_were_there(self, store: Store) -> None:
        add_account(store)

        def add(tx: Transaction) -> None:
            tx.auth.add_root_key(root_key())
            for number, end in enumerate((None, AT + 500, AT + 900, AT + 700, AT + 800)):
                tx.auth.add_token_key(replace(token_key(number), expires_at=end))
            tx.auth.revoke_token_key("client-2", at=AT)

        store.write(add)

        def end(created_by: int, after: int) -> int | None:
            return store.read(lambda tx: tx.auth.last_token_end(created_by=created_by, after=after))

        kept = store.read(lambda tx: tx.auth.token_key("client-3"))
        assert kept == replace(token_key(3), expires_at=AT + 700)
        assert end(AT + 4, AT) == AT + 800
        assert end(AT + 3, AT) == AT + 700
        assert end(AT + 3, AT + 700) is None
        assert end(AT, AT) is None

    def test_token_keys_without_a_live_family_are_silent(self, store: Store) -> None:
        add_account(store)
        add_account(store, 1)

        def make(tx: Transaction) -> None:
            tx.auth.add_root_key(root_key())
            tx.auth.add_root_key(root_key(1, of=1))
            for number, of in enumerate((0, 0, 0, 1)):
                tx.auth.add_token_key(token_key(number, under=of, of=of))
            for number, key in enumerate(("client-0", "client-1", "client-1", "client-3")):
                tx.auth.open_family(family(number, key_id=key), refresh(number, of=number))
            for number in (0, 1, 3):
                tx.auth.revoke_family(f"family-{number}", at=AT)

        store.write(make)

        def silent(of: int | None) -> set[str]:
            account = None if of is None else account_id(of)
            return set(store.read(lambda tx: tx.auth.silent_token_keys(account)))

        assert silent(0) == {"client-0", "client-2"}
        assert silent(1) == {"client-3"}
        assert silent(None) == {"client-0", "client-2", "client-3"}

    def test_a_log_in_is_not_a_change_of_the_verifier(self, store: Store) -> None:
        add_account(store)
        store.write(lambda tx: tx.auth.add_root_key(root_key()))
        store.write(lambda tx: tx.auth.touch_root_key("root-0", at=AT + 1, verifier="rehashed"))
        found = store.read(lambda tx: tx.auth.root_key("root-0"))
        assert found == replace(root_key(), verifier="rehashed", last_used_at=AT + 1)

    def test_the_families_of_a_root_key_and_of_what_hangs_on_it_end_but_one(self, store: Store) -> None:
        add_account(store)

        def make(tx: Transaction) -> None:
            for number in (0, 1):
                tx.auth.add_root_key(root_key(number))
                tx.auth.add_token_key(token_key(number, under=number))
            for number, key in enumerate(("root-0", "root-0", "client-0", "root-1", "client-1")):
                tx.auth.open_family(family(number, key_id=key), refresh(number, of=number))

        store.write(make)

        def live() -> list[int]:
            found = store.read(lambda tx: [tx.auth.family(f"family-{number}") for number in range(5)])
            return [number for number, each in enumerate(found) if each is not None and each.revoked_at is None]

        assert store.write(lambda tx: tx.auth.end_families("root-0", but="family-1", at=AT)) == 2
        assert live() == [1, 3, 4]
        assert store.write(lambda tx: tx.auth.end_families("root-0", but=None, at=AT + 1)) == 1
        assert store.write(lambda tx: tx.auth.end_families("root-0", but=None, at=AT + 2)) == 0
        assert live() == [3, 4]


class ChallengesContract:
    """Single use."""

    def test_a_challenge_is_used_once_among_many_who_try(self, store: Store) -> None:
        assert not store.read(lambda tx: tx.auth.is_challenge_used(NONCE))

        def use(_: int) -> bool:
            return store.write(lambda tx: tx.auth.use_challenge(NONCE, expires_at=AT))

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(use, range(8))) == 1
        assert store.read(lambda tx: tx.auth.is_challenge_used(NONCE))

    def test_used_challenges_are_forgotten_after_they_ended(self, store: Store) -> None:
        def use(tx: Transaction) -> None:
            for number in range(3):
                tx.auth.use_challenge(bytes([number]) * 32, expires_at=AT + number)

        store.write(use)

        assert store.write(lambda tx: tx.auth.forget_challenges(expired_before=AT + 2)) == 2

        used = store.read(lambda tx: [tx.auth.is_challenge_used(bytes([number]) * 32) for number in range(3)])
        assert used == [False, False, True]
