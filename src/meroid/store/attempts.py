"""Failed log-ins, the set-up code, and settings of the auth service."""

from meroid.service.ports.auth import AddressCount, AttemptCount, LoginCount
from meroid.store.repository import Repository

_ATTEMPTS = """
SELECT login, address, failures, last_failed_at, last_succeeded_at FROM login_attempts
WHERE login = ? AND address = ?
"""
_LOGIN_ATTEMPTS = """
SELECT COALESCE(SUM(failures), 0), MAX(last_failed_at) FROM login_attempts
WHERE login = ? AND last_failed_at >= ?
"""
_RECORD_FAILURE = """
INSERT INTO login_attempts (login, address, failures, last_failed_at) VALUES (?, ?, 1, ?)
ON CONFLICT (login, address) DO UPDATE SET
  failures = login_attempts.failures + 1, last_failed_at = excluded.last_failed_at
"""
_RECORD_SUCCESS = """
INSERT INTO login_attempts (login, address, failures, last_succeeded_at) VALUES (?, ?, 0, ?)
ON CONFLICT (login, address) DO UPDATE SET failures = 0, last_succeeded_at = excluded.last_succeeded_at
"""
_FORGET_ATTEMPTS = """
DELETE FROM login_attempts
WHERE COALESCE(last_failed_at, 0) < ? AND COALESCE(last_succeeded_at, 0) < ?
"""
# The rows that are one too many, oldest failure first; what succeeded lately is no mere failure, and stays.
_EVICT_ATTEMPTS = """
DELETE FROM login_attempts WHERE last_succeeded_at IS NULL AND last_failed_at <= (
  SELECT last_failed_at FROM login_attempts WHERE last_succeeded_at IS NULL
  ORDER BY last_failed_at DESC LIMIT 1 OFFSET ?
)
"""
_ADDRESS = "SELECT level, last_failed_at FROM failing_addresses WHERE address = ?"
_RECORD_ADDRESS = """
INSERT INTO failing_addresses (address, level, last_failed_at) VALUES (?, ?, ?)
ON CONFLICT (address) DO UPDATE SET level = excluded.level, last_failed_at = excluded.last_failed_at
"""
_FORGET_ADDRESSES = "DELETE FROM failing_addresses WHERE last_failed_at < ?"
_EVICT_ADDRESSES = """
DELETE FROM failing_addresses WHERE last_failed_at <= (
  SELECT last_failed_at FROM failing_addresses ORDER BY last_failed_at DESC LIMIT 1 OFFSET ?
)
"""
_SET_SETUP_CODE = """
INSERT INTO setup_code (id, code_hash) VALUES (1, ?)
ON CONFLICT (id) DO UPDATE SET code_hash = excluded.code_hash
"""
_SETUP_CODE = "SELECT code_hash FROM setup_code WHERE id = 1"
_SETTING = "SELECT value FROM settings WHERE name = ?"
_PUT_SETTING = """
INSERT INTO settings (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


class SqlAttempts(Repository):
    """Attempts, set-up code and settings of `AuthRecords`."""

    __slots__ = ()

    def attempts(self, login: bytes, address: str) -> AttemptCount | None:
        """What is known of this login from this address."""
        row = self._session.one(_ATTEMPTS, (login, address))
        if row is None:
            return None
        return AttemptCount(
            login=row[0], address=row[1], failures=row[2], last_failed_at=row[3], last_succeeded_at=row[4]
        )

    def login_attempts(self, login: bytes, *, since: int) -> LoginCount:
        """Failures over all addresses, of rows whose last failure is at or after `since`."""
        row = self._session.one(_LOGIN_ATTEMPTS, (login, since))
        failures, last = (0, None) if row is None else row
        return LoginCount(failures=failures, last_failed_at=last)

    def record_failure(self, login: bytes, address: str, *, at: int) -> None:
        """Count one more failure for this login from this address."""
        self._session.run(_RECORD_FAILURE, (login, address, at))

    def record_success(self, login: bytes, address: str, *, at: int) -> None:
        """Set the failures of this login from this address to zero and note the success."""
        self._session.run(_RECORD_SUCCESS, (login, address, at))

    def forget_attempts(self, *, before: int) -> int:
        """Remove rows whose last failure and last success both lie before that time; how many."""
        return self._session.run(_FORGET_ATTEMPTS, (before, before))

    def evict_attempts(self, *, keep: int) -> int:
        """Remove what only failed, oldest first, until at most `keep` such rows are left; how many."""
        return self._session.run(_EVICT_ATTEMPTS, (keep,))

    def failing_address(self, address: str) -> AddressCount | None:
        """What is known of failures from this address."""
        row = self._session.one(_ADDRESS, (address,))
        return None if row is None else AddressCount(level=row[0], last_failed_at=row[1])

    def record_failing_address(self, address: str, count: AddressCount) -> None:
        """Keep what is known of failures from this address, in place of what was."""
        self._session.run(_RECORD_ADDRESS, (address, count.level, count.last_failed_at))

    def forget_failing_addresses(self, *, before: int, keep: int) -> int:
        """Remove addresses that last failed before that time, and the oldest beyond `keep`; how many."""
        return self._session.run(_FORGET_ADDRESSES, (before,)) + self._session.run(_EVICT_ADDRESSES, (keep,))

    def set_setup_code(self, code_hash: bytes) -> None:
        """Keep the 32-byte hash of the set-up code, in place of any other."""
        self._session.run(_SET_SETUP_CODE, (code_hash,))

    def setup_code(self) -> bytes | None:
        """The hash of the set-up code, until the first owner is there."""
        row = self._session.one(_SETUP_CODE)
        return None if row is None else row[0]

    def setting(self, name: str) -> str | None:
        """The value of a setting."""
        row = self._session.one(_SETTING, (name,))
        return None if row is None else row[0]

    def put_setting(self, name: str, value: str) -> None:
        """Set a setting."""
        self._session.run(_PUT_SETTING, (name, value))
