"""What every store keeps of the audit trail: append-only, in one chain, kept with its transaction or not at all."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.contract.store_records import AT, account_id

from meroid.account.audit import Action, Actor, AuditEvent, AuditHead, verify_chain
from meroid.service.ports.audit import AuditCount, AuditFilter
from meroid.service.ports.store import Store, Transaction

ALL = AuditFilter()
EVENT = AuditEvent(
    at=AT,
    action=Action.TOKEN_MINT,
    by=Actor(account_id=account_id(1), key_id="root-1", address="2001:db8::7"),
    method="near_wallet",
    target="key-1",
    details={"permissions": "context:list context:execute", "z": "ä"},
    left_out=3,
)
REFUSED = AuditEvent(at=AT, action=Action.LOGIN, outcome="wrong_credentials", method="user_password")
MINUTE = 60_000


def append(store: Store, *events: AuditEvent) -> None:
    for each in events:
        store.write(lambda tx, event=each: tx.audit.append(event))  # type: ignore[misc]


def refuse(store: Store, subject: str, event: AuditEvent, times: int = 1) -> bool:
    return store.write(lambda tx: tx.audit.append_bounded(subject, event, times=times)) is not None


class AuditContract:
    """The trail."""

    def test_events_come_back_as_they_were_and_their_chain_holds(self, store: Store) -> None:
        assert store.read(lambda tx: tx.audit.head()) == AuditHead()
        append(store, EVENT, REFUSED)
        found = store.read(lambda tx: tx.audit.page(ALL, after=0, limit=10))
        assert [each.event for each in found] == [EVENT, REFUSED]
        assert verify_chain(found) == store.read(lambda tx: tx.audit.head())

    def test_an_event_goes_with_what_it_tells_of(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.audit.append(EVENT)
            tx.auth.put_setting("s", "v")
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011 - the test's own
            store.write(work)
        assert store.read(lambda tx: (tx.audit.head().count, tx.auth.setting("s"))) == (0, None)

    def test_many_who_append_at_the_same_time_make_one_chain(self, store: Store) -> None:
        def one(number: int) -> None:
            def work(tx: Transaction) -> None:
                tx.audit.append(replace(EVENT, target=f"key-{number}"))
                if number % 3 == 0:
                    raise ValueError

            if number % 3 == 0:
                with pytest.raises(ValueError):  # noqa: PT011 - the test's own
                    store.write(work)
            else:
                store.write(work)

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(one, range(120)))
        assert verify_chain(store.read(lambda tx: tx.audit.page(ALL, after=0, limit=200))).count == 80

    def test_pages_and_filters(self, store: Store) -> None:
        events = [
            EVENT,
            REFUSED,
            replace(EVENT, action=Action.TOKEN_REVOKE, at=AT + 1),
            replace(EVENT, by=Actor(account_id=account_id(2)), at=AT + 2),
        ]
        append(store, *events)

        def numbers(wanted: AuditFilter, after: int = 0, limit: int = 10) -> list[int]:
            return [each.sequence for each in store.read(lambda tx: tx.audit.page(wanted, after=after, limit=limit))]

        assert numbers(ALL, limit=2) == [1, 2]
        assert numbers(ALL, after=2, limit=1) == [3]
        assert numbers(AuditFilter(account_id=account_id(1))) == [1, 3]
        assert numbers(AuditFilter(action="token.revoke")) == [3]
        assert numbers(AuditFilter(action="token")) == [1, 3, 4]
        assert numbers(AuditFilter(action="tok")) == []
        assert numbers(AuditFilter(action="%")) == []
        assert numbers(AuditFilter(outcome="refused")) == [2]
        assert numbers(AuditFilter(outcome="ok", since=AT + 1, until=AT + 2)) == [3]
        latest = store.read(lambda tx: tx.audit.latest(AuditFilter(account_id=account_id(1)), limit=1))
        assert [each.sequence for each in latest] == [3]

    def test_a_repeated_refusal_is_told_once_a_minute_with_how_many_were_left_out(self, store: Store) -> None:
        assert refuse(store, "a", REFUSED)
        assert not any(refuse(store, "a", replace(REFUSED, at=AT + each)) for each in range(1, 6))
        assert refuse(store, "a", replace(REFUSED, outcome="login_throttled"))
        assert refuse(store, "b", REFUSED)
        assert refuse(store, "a", replace(REFUSED, at=AT + MINUTE), times=3)
        found = store.read(lambda tx: tx.audit.page(ALL, after=0, limit=20))
        assert [each.event.left_out for each in found] == [0, 0, 0, 5 + 2]

    def test_a_flood_of_different_refusals_is_bounded_and_counted(self, store: Store) -> None:
        told = sum(refuse(store, f"stranger-{each}", REFUSED) for each in range(200))
        assert told == 60
        assert refuse(store, "another", replace(REFUSED, at=AT + MINUTE))
        *_, left_out, last = store.read(lambda tx: tx.audit.page(ALL, after=0, limit=100))
        assert (left_out.event.action, left_out.event.left_out) == (Action.LEFT_OUT, 140)
        assert last.event.outcome == "wrong_credentials"

    def test_what_a_silent_subject_left_out_is_told_in_the_end(self, store: Store) -> None:
        for each in range(4):
            refuse(store, "a", replace(REFUSED, at=AT + each))
        refuse(store, "b", replace(REFUSED, at=AT + 61 * MINUTE))
        found = store.read(lambda tx: tx.audit.page(ALL, after=0, limit=20))
        assert [(str(each.event.action), each.event.left_out) for each in found] == [
            ("login", 0),
            ("events.left_out", 3),
            ("login", 0),
        ]

    def test_all_events_are_counted_also_those_left_out(self, store: Store) -> None:
        append(store, EVENT)
        refuse(store, "a", REFUSED, times=5)
        refuse(store, "a", replace(REFUSED, at=AT + 1), times=2)
        counted = {(each.action, each.outcome, each.method): each.count for each in store.read(_counts)}
        assert counted == {("token.mint", "ok", "near_wallet"): 1, ("login", "wrong_credentials", "user_password"): 7}


def _counts(tx: Transaction) -> Sequence[AuditCount]:
    return tx.audit.counts()
