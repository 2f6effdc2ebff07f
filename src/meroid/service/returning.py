"""Coming back with restored keys: find the contexts, fetch what was signed since, then rotate (`design.md` §4).

A restored key signs no operation until a member showed what it had signed before; then it is rotated at
once, and its next key goes on. So a backup forks no chain, however old it is, as long as a member who knows
the chain is heard (decision 0017 says what that leaves open).
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeyPath, ClientKeys
from meroid.clock import Clock
from meroid.errors import MeroidError, NotFoundError
from meroid.ids import AccountId, ContextId
from meroid.keys.commitment import GENERATIONS
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealingKey
from meroid.service.entry import Entry, NotLetInError
from meroid.service.keyring import KeyRing
from meroid.service.ports.accounts import ClientKeyRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.ports.transport import Registration, Transport
from meroid.service.replica import Replica, Replicas
from meroid.service.replication import ReplicationService
from meroid.service.return_desk import (
    RETURN_TOPIC,
    TAGS_MOST,
    ReturnDesk,
    WayBack,
    new_number,
    open_answer,
    return_question,
)
from meroid.service.rotation import RotationService

ADDRESSES_SETTING: Final = "return_addresses"
SCAN_SETTING: Final = "return_scan"
_FIRST_DEVICE: Final = 0
_ASK_S: Final = 5.0
_NODES_MOST: Final = 16
_TRIES: Final = 5
_LATER_GENERATIONS: Final = 16
_PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A client key that may be a member somewhere, and how many later generations to try."""

    account_id: AccountId
    path: ClientKeyPath
    public_key: PublicKey
    later: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A context that was found again; `key` acts there now, or nothing yet."""

    context_id: ContextId
    key: PublicKey | None
    problem: MeroidError | None = None


class NothingToResumeError(NotFoundError):
    """No key of this account waits to go on in that context."""

    code = "nothing_to_resume"
    next_step = "nothing has to be done; list the contexts: meroctl context ls"


class ReturnService:
    """Serves the return desk, and looks for the contexts of restored keys until all are back."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        entry: Entry,
        replication: ReplicationService,
        rotation: RotationService,
        transport: Transport,
        clock: Clock,
        trouble: Callable[[str, MeroidError], None],
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._entry = entry
        self._replication = replication
        self._rotation = rotation
        self._transport = transport
        self._clock = clock
        self._trouble = trouble
        self._desk = ReturnDesk(replicas, keys, clock)
        self._place = new_number()[:16].hex()
        self._registration: Registration | None = None
        self._looking = threading.Lock()
        self._resuming = threading.Lock()
        self._scanned = False
        self._fetching: set[ContextId] = set()
        self._went_on: set[ContextId] = set()
        self._closing = threading.Event()
        self._looker: threading.Thread | None = None

    def start(self) -> None:
        """Serve the desk; where something is to be found, look for it from a thread of its own."""
        self._registration = self._transport.serve(RETURN_TOPIC, self._place, self._desk.answer)
        addresses = self._store.read(_addresses)
        if addresses:
            self._transport.connect(addresses)
        if self._awaited():
            self._looker = threading.Thread(target=self._look_until_back, name="returning", daemon=True)
            self._looker.start()

    def close(self) -> None:
        """Stop looking; call it after the transport was closed."""
        self._closing.set()
        if self._looker is not None:
            self._looker.join(_ASK_S)

    def look(self, addresses: Sequence[str] = ()) -> Sequence[Returned]:
        """Ask every node within reach for the contexts of the keys that came from a backup.

        Args:
            addresses: of members' nodes, to connect to and to keep until all contexts are back.

        Raises:
            BadEndpointError: an address of another form.
        """
        if addresses:
            self._transport.connect(addresses)
            self._store.write(lambda tx: _keep_addresses(tx, addresses))
        with self._looking:
            try:
                found = self._heard(self._desks(wait=bool(addresses)))
            finally:
                self._fetching.clear()
            return [self._going_on(context_id, problem) for context_id, problem in found.items()]

    def _heard(self, desks: Sequence[str]) -> dict[ContextId, MeroidError | None]:
        """The contexts that any desk told of, each with why it wasn't taken up, if it wasn't.

        A member may have slept, or hold back what it knows. So all are heard before a key is rotated: until
        then the contexts stand in `_fetching`.
        """
        found: dict[ContextId, MeroidError | None] = {}
        for place in desks:
            try:
                for candidate, way in self._ask(place):
                    context_id = way.channel.context_id
                    self._fetching.add(context_id)
                    problem = self._fetch(candidate, way)
                    if problem is None or found.get(context_id, problem) is not None:
                        found[context_id] = problem
            except MeroidError as problem:
                self._trouble("return desk did not help", problem)
        return found

    def _going_on(self, context_id: ContextId, problem: MeroidError | None) -> Returned:
        """Hear who else is present in a context that was taken up again, then rotate its key."""
        replica = self._replicas.find(context_id) if problem is None else None
        if replica is None:
            return Returned(context_id=context_id, key=None, problem=problem)
        try:
            self._replication.repair(replica)
            return Returned(context_id=context_id, key=self._resumed(replica))
        except MeroidError as trouble:
            self._trouble("context not taken up again", trouble)
            return Returned(context_id=context_id, key=None, problem=trouble)

    def _resumed(self, replica: Replica) -> PublicKey | None:
        """The key that acts in a context now; hearing the others may have rotated it already."""
        following = self.resume(replica)
        members = replica.ledger.state.members
        own = (keys.public_key for keys in self._keys.of_context(replica.context_id))
        return following or next((key for key in own if key in members and key not in self._keys.restored()), None)

    def _desks(self, *, wait: bool) -> Sequence[str]:
        """The desks of other nodes in reach; after new addresses were named that may take a moment."""
        desks = self._transport.present(RETURN_TOPIC)
        for _ in range(_TRIES if wait else 0):
            if desks or self._closing.wait(_PAUSES_S[0]):
                break
            desks = self._transport.present(RETURN_TOPIC)
        return desks[:_NODES_MOST]

    def resume(self, replica: Replica, of: AccountId | None = None) -> PublicKey | None:
        """Rotate restored keys of this node that are members of a context; their next keys act from then on.

        Called after a member was heard, or when the owner says that no other copy runs; then only the keys `of`
        that account go on.

        Returns:
            One key that acts now, or nothing where none waited.
        """
        following: PublicKey | None = None
        problem: MeroidError | None = None
        with self._resuming:
            for keys in self._keys.of_context(replica.context_id):
                owner = self._keys.owner_of(keys.public_key)
                if owner is None or of not in {None, owner}:
                    continue
                try:
                    following = self._resume_one(replica, keys, owner) or following
                except MeroidError as error:  # another one can go on all the same
                    problem = error
        if following is None and problem is not None:
            raise problem
        return following

    def _resume_one(self, replica: Replica, keys: ClientKeys, owner: AccountId) -> PublicKey | None:
        state, context_id = replica.ledger.state, replica.context_id
        now = state.key_now(keys.public_key)
        if keys.public_key not in self._keys.restored() or now not in state.members:
            return None
        candidate = Candidate(account_id=owner, path=keys.path, public_key=keys.public_key, later=GENERATIONS)
        if self._record_of(candidate, context_id, now) is None:
            return None
        following = now
        if now in self._keys.restored():
            following = self._rotation.resume(Principal.node(owner), context_id, now, self._clock.now_ms())
        self._release(keys.public_key)
        return following

    def _release(self, key: PublicKey) -> None:
        self._store.write(lambda tx: tx.accounts.release(key))
        self._keys.reread()

    def resume_alone(self, principal: Principal, context_id: ContextId, *, force: bool) -> PublicKey:
        """Go on in a context without having heard from a member, since the owner says that no other copy runs.

        Raises:
            ContextNotFoundError: this node isn't in it.
            NothingToResumeError: no key of the caller waits here.
            RestoredUnsyncedError: there are other members, who can tell; `force` goes on nevertheless.
        """
        replica = self._replicas.get(context_id)
        waiting = [key for key in self._restored_in(replica) if self._keys.owner_of(key) == principal.account_id]
        others = [key for key in replica.ledger.state.members if self._keys.owner_of(key) is None]
        if waiting and others and not force:
            self._keys.check_resumed(waiting[0])
        key = self.resume(replica, principal.account_id) if waiting else None
        if key is None:
            raise NothingToResumeError(f"no restored key of this account waits in {context_id}")
        return key

    def synced(self, replica: Replica) -> None:
        """What replication calls after a member answered everything: a restored key of the context goes on.

        That happens by itself once while the node runs; after that its owner has to say so.
        """
        if replica.context_id in self._fetching or replica.context_id in self._went_on:
            # Others are asked still; or two copies go on side by side, and taking turns would use up the keys.
            return
        try:
            if self.resume(replica) is not None:
                self._went_on.add(replica.context_id)
        except MeroidError as problem:
            self._trouble("restored key not rotated", problem)

    def _restored_in(self, replica: Replica) -> list[PublicKey]:
        restored = self._keys.restored()
        return [each.public_key for each in self._keys.of_context(replica.context_id) if each.public_key in restored]

    def _awaited(self) -> bool:
        """Whether a restored key still waits, or every slot is to be asked for."""
        scan = self._store.read(lambda tx: tx.auth.setting(SCAN_SETTING)) is not None
        return (scan and not self._scanned) or any(True for _ in self._recorded(bound=True))

    def _look_until_back(self) -> None:
        for pause in (*_PAUSES_S, *([_PAUSES_S[-1]] * 60)):
            if self._closing.wait(pause) or not self._awaited():
                return
            try:
                self.look()
            except MeroidError as problem:
                self._trouble("contexts not found again", problem)

    def _ask(self, place: str) -> Iterator[tuple[Candidate, WayBack]]:
        for candidates in self._windows():
            number = new_number()
            question = return_question(number, [each.public_key for each in candidates])
            answer = self._transport.ask(RETURN_TOPIC, place, question, timeout_s=_ASK_S)
            ways = open_answer(number, lambda place: self._sealing(candidates[place]), answer)  # noqa: B023  # used at once
            for at_place, way in ways.items():
                yield candidates[at_place], way
            if self._is_scan(candidates):
                self._scanned |= bool(ways)
                if not ways:
                    return

    def _windows(self) -> Iterator[list[Candidate]]:
        """What to ask for, in questions of at most 256 keys: what is on record, then slot after slot."""
        recorded = list(self._recorded())
        for start in range(0, len(recorded), TAGS_MOST):
            yield recorded[start : start + TAGS_MOST]
        scanned = self._store.read(lambda tx: tx.auth.setting(SCAN_SETTING))
        if scanned is not None:
            yield from self._scan(AccountId.parse(scanned))

    def _recorded(self, *, bound: bool = False) -> Iterator[Candidate]:
        """Restored keys, the latest generation of each slot; a backup may be older than what bound a key."""
        restored = self._keys.restored()
        if not restored:
            return
        records = self._store.read(lambda tx: tx.accounts.client_keys())
        latest: dict[tuple[AccountId, int, int], ClientKeyRecord] = {}
        for record in records:
            slot = record.account_id, record.device, record.slot
            known = latest.get(slot)
            if known is None or known.generation < record.generation:
                latest[slot] = record
        for record in latest.values():
            if record.public_key in restored and (record.context_id is not None or not bound):
                yield _candidate(record, GENERATIONS)

    def _scan(self, account_id: AccountId) -> Iterator[list[Candidate]]:
        """The slots of the first device, one window after another; the caller stops where nothing was found."""
        device = self._keys.seed(account_id).device(_FIRST_DEVICE)
        start = 0
        while not self._closing.is_set():
            slots = range(start, start + TAGS_MOST)
            keys = [device.client_keys(slot=slot) for slot in slots]
            yield [
                Candidate(account_id=account_id, path=each.path, public_key=each.public_key, later=_LATER_GENERATIONS)
                for each in keys
            ]
            start += TAGS_MOST

    @staticmethod
    def _is_scan(candidates: Sequence[Candidate]) -> bool:
        return candidates[0].later == _LATER_GENERATIONS

    def _sealing(self, candidate: Candidate) -> Iterator[SealingKey]:
        for path in _generations(candidate):
            yield self._keys.seed(candidate.account_id).client_keys(path).sealing

    def _fetch(self, candidate: Candidate, way: WayBack) -> MeroidError | None:
        """Fetch what a member tells of a context, and bind the key to it, if its history says that it is a member.

        Nothing stays of a context that a liar named: otherwise its word would bind the key's slot for good.
        """
        context_id, here = way.channel.context_id, self._replicas.find(way.channel.context_id)
        try:
            path = self._path_of(candidate, way.key_now)
            if path is None or not self._may_be_of(context_id, candidate.public_key, way.key_now):
                raise NotLetInError("the node named a context that this key can't be of")
            keys = self._keys.seed(candidate.account_id).client_keys(path)
            replica = here or self._entry.begin(way.channel, keys)
            self._replication.catch_up(replica, way.channel, keys)
            self._bind(candidate, replica)
        except MeroidError as problem:
            self._trouble("context not taken up again", problem)
            if here is None:
                self._drop_unless_bound(context_id)
            return problem
        return None

    def _bind(self, candidate: Candidate, replica: Replica) -> None:
        now = replica.ledger.state.key_now(candidate.public_key)
        if now not in replica.ledger.state.members or self._record_of(candidate, replica.context_id, now) is None:
            raise NotLetInError(f"{candidate.public_key} is no member of {replica.context_id} by the history that came")
        self._replication.refresh(replica)

    def _drop_unless_bound(self, context_id: ContextId) -> None:
        if self._replicas.find(context_id) is not None and not self._keys.of_context(context_id):
            self._replicas.forget(context_id)
            self._store.write(lambda tx: tx.contexts.remove(context_id))

    def _may_be_of(self, context_id: ContextId, *keys: PublicKey) -> bool:
        records = self._store.read(lambda tx: [tx.accounts.client_key(key) for key in keys])
        return all(each is None or each.context_id in {None, context_id} for each in records)

    def _path_of(self, candidate: Candidate, now: PublicKey) -> ClientKeyPath | None:
        seed = self._keys.seed(candidate.account_id)
        return next((path for path in _generations(candidate) if seed.client_keys(path).public_key == now), None)

    def _record_of(self, candidate: Candidate, context_id: ContextId, now: PublicKey) -> ClientKeyRecord | None:
        """The record of the key that the membership has now; made where it isn't there, as a restored one."""
        path = self._path_of(candidate, now)
        if path is None:
            return None
        at = self._clock.now_ms()
        made = ClientKeyRecord(
            public_key=now,
            account_id=candidate.account_id,
            device=path.device,
            slot=path.slot,
            generation=path.generation,
            context_id=context_id,
            created_at=at,
            restored_at=at,
        )

        def work(tx: Transaction) -> ClientKeyRecord | None:
            known = tx.accounts.client_key(now)
            if known is not None:
                bound = known.context_id is None and tx.accounts.bind_client_key(now, context_id)
                return known if bound or known.context_id == context_id else None
            tx.accounts.add_client_key(made)
            return made

        record = self._store.write(work)
        self._keys.reread()
        return record


def _candidate(record: ClientKeyRecord, later: int) -> Candidate:
    path = ClientKeyPath(device=record.device, slot=record.slot, generation=record.generation)
    return Candidate(account_id=record.account_id, path=path, public_key=record.public_key, later=later)


def _generations(candidate: Candidate) -> Iterable[ClientKeyPath]:
    first = candidate.path.generation
    return (
        replace(candidate.path, generation=each) for each in range(first, min(first + candidate.later, GENERATIONS))
    )


def _addresses(tx: Transaction) -> list[str]:
    stored = tx.auth.setting(ADDRESSES_SETTING)
    return [] if stored is None else [str(each) for each in json.loads(stored)]


def _keep_addresses(tx: Transaction, addresses: Sequence[str]) -> None:
    kept = list(dict.fromkeys([*addresses, *_addresses(tx)]))[:_NODES_MOST]
    tx.auth.put_setting(ADDRESSES_SETTING, json.dumps(kept))
