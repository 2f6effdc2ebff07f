"""A node on its store, before anything listens."""

from dataclasses import replace
from typing import Final

import structlog

from meroid.app.auth import AuthServices
from meroid.app.vaulted import Vaulted, open_vaulted
from meroid.clock import Clock, SystemClock
from meroid.config import Settings
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Ask
from meroid.ledger.capability import Capability
from meroid.service.authorship import member_of
from meroid.service.backups import BackupService
from meroid.service.replica import Replicas
from meroid.vault.home_mark import HomeMark, count_start, renew_mark

_HOME_MARK: Final = "home_mark"
_log: Final = structlog.get_logger("meroid.node")


class Node:
    """All services of one node on its store, before anything listens."""

    def __init__(self, settings: Settings, vaulted: Vaulted, clock: Clock | None = None) -> None:
        self.settings = settings
        self.store = vaulted.store
        self.clock: Clock = clock or SystemClock()
        self.replicas = Replicas(self.store)
        self.auth = AuthServices(settings, vaulted, check_member=self._check_member)
        self.keys = self.auth.keys
        self.key_logs = self.auth.key_logs
        self.login = self.auth.login
        self.tokens = self.auth.tokens
        self.gate = self.auth.gate
        self.backups = BackupService(self.store, self.keys)

    def prepare(self) -> AccountId:
        """Make what a node can't be without; recognise a copied home; forget tokens that ended."""
        at = self.clock.now_ms()
        owner = self.auth.prepare(at)
        self._recognise_home(at)
        self.auth.settle_logs()
        return owner

    def _recognise_home(self, at: int) -> None:
        """A home that was copied or put back is another device from now on, and its client keys are restored ones."""
        home = self.settings.home
        known = self.store.read(lambda tx: tx.auth.setting(_HOME_MARK))
        remembered = None if known is None else HomeMark.parse(known)
        if remembered is not None and remembered.is_of(home):
            mark = replace(remembered, starts=remembered.starts + 1, starts_born=None)
        else:
            mark = replace(renew_mark(home), starts_born=None)
            if remembered is not None:
                _log.warning("this home was copied or put back; its keys rotate before they sign")
                self.backups.become_new_device(at)
        self._remember(mark)
        self._remember(count_start(home, mark.starts))

    def _remember(self, mark: HomeMark) -> None:
        self.store.write(lambda tx: tx.auth.put_setting(_HOME_MARK, mark.encoded))

    def _check_member(self, context_id: ContextId, key: PublicKey) -> None:
        member_of(self.replicas.get(context_id), key, needs=Capability.READ)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def initialise_node(settings: Settings, ask: Ask | None = None) -> Node:
    """Make store key, database, account and signing key of a new node; the caller closes it."""
    node = Node(settings, open_vaulted(settings, make=True, ask=ask))
    node.prepare()
    return node
