"""Log-in links, and when strangers made accounts for themselves."""

from collections.abc import Sequence
from typing import Any

from meroid.ids import AccountId
from meroid.service.ports.login_links import LinkKind, LoginLinkRecord
from meroid.store.repository import Repository

_COLUMNS = "link_id, code_hash, kind, account_id, label, made_by, created_at, expires_at, used_at, withdrawn_at"
_ADD = f"INSERT INTO login_links ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_LINKS = f"SELECT {_COLUMNS} FROM login_links"  # noqa: S608 - constants
_GET = f"{_LINKS} WHERE link_id = ?"
_FIND = f"{_LINKS} WHERE code_hash = ?"
_IS_OPEN = "used_at IS NULL AND withdrawn_at IS NULL AND expires_at > ?"
_OPEN = f"{_LINKS} WHERE {_IS_OPEN} ORDER BY created_at, link_id"
_OPEN_OF = f"{_LINKS} WHERE {_IS_OPEN} AND made_by = ? ORDER BY created_at, link_id"
_USE = f"UPDATE login_links SET used_at = ?, account_id = ? WHERE link_id = ? AND {_IS_OPEN}"  # noqa: S608 - as above
_WITHDRAW = f"UPDATE login_links SET withdrawn_at = ? WHERE link_id = ? AND {_IS_OPEN}"  # noqa: S608 - as above
_FORGET = "DELETE FROM login_links WHERE expires_at < ?"
_NOTE = "INSERT INTO sign_ups (address, created_at) VALUES (?, ?)"
_SIGN_UPS = "SELECT created_at FROM sign_ups WHERE address = ? AND created_at >= ? ORDER BY created_at, position"
_FORGET_SIGN_UPS = "DELETE FROM sign_ups WHERE created_at < ?"


class SqlLoginLinks(Repository):
    """The port `LoginLinks` over SQL."""

    __slots__ = ()

    def add(self, record: LoginLinkRecord) -> None:
        """Store a link.

        Raises:
            StoreConflictError: its id or code is taken, or one of the accounts isn't here.
        """
        self._session.run(
            _ADD,
            (
                record.link_id,
                record.code_hash,
                record.kind.value,
                record.account_id,
                record.label,
                record.made_by,
                record.created_at,
                record.expires_at,
                record.used_at,
                record.withdrawn_at,
            ),
        )

    def get(self, link_id: str) -> LoginLinkRecord | None:
        """One link by its id."""
        row = self._session.one(_GET, (link_id,))
        return None if row is None else _link(row)

    def find(self, code_hash: bytes) -> LoginLinkRecord | None:
        """One link by the hash of its code."""
        row = self._session.one(_FIND, (code_hash,))
        return None if row is None else _link(row)

    def open(self, *, at: int, made_by: AccountId | None = None) -> Sequence[LoginLinkRecord]:
        """Links that can be redeemed, oldest first; those of one maker if it is given."""
        rows = self._session.all(_OPEN, (at,)) if made_by is None else self._session.all(_OPEN_OF, (at, made_by))
        return tuple(map(_link, rows))

    def use(self, link_id: str, account_id: AccountId, *, at: int) -> bool:
        """Note that a link was redeemed for an account; false if it isn't open any more."""
        return self._session.run(_USE, (at, account_id, link_id, at)) == 1

    def withdraw(self, link_id: str, *, at: int) -> bool:
        """Withdraw a link; false if it isn't open any more."""
        return self._session.run(_WITHDRAW, (at, link_id, at)) == 1

    def forget(self, *, expired_before: int) -> int:
        """Remove links whose time ended before that; how many they were."""
        return self._session.run(_FORGET, (expired_before,))

    def note_sign_up(self, address: str, *, at: int) -> None:
        """Note that somebody made an account for themselves."""
        self._session.run(_NOTE, (address, at))

    def sign_ups(self, address: str, *, since: int) -> Sequence[int]:
        """When accounts were made from this address, at or after `since`, oldest first."""
        return tuple(row[0] for row in self._session.all(_SIGN_UPS, (address, since)))

    def forget_sign_ups(self, *, before: int) -> int:
        """Forget sign-ups before that time; how many they were."""
        return self._session.run(_FORGET_SIGN_UPS, (before,))


def _link(row: tuple[Any, ...]) -> LoginLinkRecord:
    return LoginLinkRecord(
        link_id=row[0],
        code_hash=row[1],
        kind=LinkKind(row[2]),
        account_id=None if row[3] is None else AccountId(row[3]),
        label=row[4],
        made_by=AccountId(row[5]),
        created_at=row[6],
        expires_at=row[7],
        used_at=row[8],
        withdrawn_at=row[9],
    )
