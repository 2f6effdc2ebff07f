"""What a backup of an account holds, and an account made again from one (`design.md` §4).

A restored home is a new device: it takes a device number that nobody else can have taken, its restored
client keys sign nothing until `returning` rotated them, and its key log grows only when its owner says
that it is the latest.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Final

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.audit import Action, AuditEvent
from meroid.account.backup import BackedUpContext, BackedUpSlot, BackupContents
from meroid.account.client_keys import ClientKeyPath
from meroid.account.key_log import incept, verify_key_log
from meroid.account.seed import Seed
from meroid.account.succession import seed_generation
from meroid.errors import ConflictError
from meroid.ids import AccountId
from meroid.keys.derivation import INDEX_END
from meroid.service.key_logs import OtherKeyLogError
from meroid.service.keyring import KeyRing
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.returning import ADDRESSES_SETTING, SCAN_SETTING

RESTORED_DEVICES: Final = range(2**20, INDEX_END)
"""Numbers of restored devices: taken at random, so that two homes that don't know of each other differ."""


class AccountPresentError(ConflictError):
    """This home has an account already."""

    code = "account_present"
    next_step = "restore into a home of its own: another --node-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an owner kept of a lost account.

    Attributes:
        seed: from the words or the shares.
        contents: of a backup file or sheet; from the words alone follow the id and all keys, while
            contexts are looked for slot by slot.
        key_log: a copy of the log that is later than the backup's, or there is no backup.
        addresses: of members' nodes, to find contexts through.
        latest: whether the owner says that the key log has no later entries elsewhere.
    """

    seed: Seed
    contents: BackupContents | None = None
    key_log: tuple[bytes, ...] | None = None
    addresses: tuple[str, ...] = ()
    latest: bool = False

    def entries(self) -> tuple[bytes, ...]:
        """The longest copy of the key log; without any, what follows from the words.

        Raises:
            OtherKeyLogError: the copies don't go on from each other.
        """
        copies = [() if self.contents is None else self.contents.key_log, self.key_log or ()]
        shorter, longer = sorted(copies, key=len)
        if longer[: len(shorter)] != shorter:
            raise OtherKeyLogError("the copy of the key log and the one in the backup don't go on from each other")
        return longer or (incept(self.seed).encoded,)


class BackupService:
    """Collects what a backup holds, and makes accounts from backups."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys

    def contents(self, account_id: AccountId, at: int) -> BackupContents:
        """All that the words can't give back of an account."""
        return self._store.read(lambda tx: _contents(tx, account_id, at))

    def restore(self, kept: Kept, at: int) -> AccountRecord:
        """Make the node's own account from what was kept of it.

        Raises:
            AccountPresentError: the home has an account.
            SeedNotOfAccountError: the account was handed to another seed since.
            IntegrityError: the key log doesn't hold.
        """
        seed, contents, addresses, latest = kept.seed, kept.contents, kept.addresses, kept.latest
        entries = kept.entries()
        log = verify_key_log(entries)
        seed_generation(log.state, seed)
        record = AccountRecord(
            account_id=log.account_id,
            sealed_seed=self._keys.sealed(log.account_id, seed),
            device=new_device(log),
            created_at=at,
            owner=True,
            log_unsettled_at=None if latest else at,
        )
        slots = () if contents is None else contents.slots
        keys = [self._restored_key(seed, record, slot, at) for slot in slots]
        known = addresses if contents is None else [*addresses, *_endpoints(contents)]

        def work(tx: Transaction) -> None:
            if tx.accounts.list():
                raise AccountPresentError("this home has an account already")
            tx.accounts.add(record, entries[0])
            for place, entry in enumerate(entries[1:], start=1):
                tx.accounts.append_key_log(record.account_id, place, entry)
            for key in keys:
                tx.accounts.add_client_key(key)
            tx.accounts.set_backed_up(record.account_id, at)
            restored = {"restored": "true"}
            event = AuditEvent(at=at, action=Action.ACCOUNT_CREATE, target=str(record.account_id), details=restored)
            tx.audit.append(event)
            tx.auth.put_setting(ADDRESSES_SETTING, json.dumps(list(dict.fromkeys(known))))
            # also with a backup: contexts may have come since it was made
            tx.auth.put_setting(SCAN_SETTING, str(record.account_id))

        self._store.write(work)
        self._keys.reread()
        return record

    def become_new_device(self, at: int) -> None:
        """Take another device number for every account, and note that all client keys were restored."""

        def work(tx: Transaction) -> None:
            for account in tx.accounts.list():
                log = verify_key_log(tx.accounts.key_log(account.account_id))
                tx.accounts.renew_device(account.account_id, new_device(log), at)

        self._store.write(work)
        self._keys.reread()

    @staticmethod
    def _restored_key(seed: Seed, account: AccountRecord, slot: BackedUpSlot, at: int) -> ClientKeyRecord:
        return ClientKeyRecord(
            public_key=seed.client_keys(slot.path).public_key,
            account_id=account.account_id,
            device=slot.path.device,
            slot=slot.path.slot,
            generation=slot.path.generation,
            context_id=slot.context_id,
            created_at=at,
            restored_at=at,
        )


def new_device(log: VerifiedKeyLog) -> int:
    """A device number that isn't claimed in this log, and that no other restored home takes."""
    taken = log.state.devices | log.state.revoked_devices
    while True:
        device = RESTORED_DEVICES.start + secrets.randbelow(len(RESTORED_DEVICES))
        if device not in taken:
            return device


def _contents(tx: Transaction, account_id: AccountId, at: int) -> BackupContents:
    latest: dict[tuple[int, int], ClientKeyRecord] = {}
    for record in tx.accounts.client_keys(account_id=account_id):
        known = latest.get((record.device, record.slot))
        if known is None or known.generation < record.generation:
            latest[record.device, record.slot] = record
    contexts = sorted({record.context_id for record in latest.values() if record.context_id is not None})
    return BackupContents(
        account_id=account_id,
        created_at=at,
        key_log=tuple(tx.accounts.key_log(account_id)),
        slots=tuple(
            BackedUpSlot(
                path=ClientKeyPath(device=record.device, slot=record.slot, generation=record.generation),
                context_id=record.context_id,
            )
            for _, record in sorted(latest.items())
        ),
        contexts=tuple(
            BackedUpContext(context_id=context_id, endpoints=tuple(tx.contexts.endpoints(context_id)))
            for context_id in contexts
        ),
    )


def _endpoints(contents: BackupContents) -> list[str]:
    return [endpoint for context in contents.contexts for endpoint in context.endpoints]
