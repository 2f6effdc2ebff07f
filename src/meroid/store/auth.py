"""Everything that the auth service stores, as one port."""

from meroid.store.attempts import SqlAttempts
from meroid.store.challenges import SqlChallenges
from meroid.store.credentials import SqlCredentials
from meroid.store.logins import SqlLogins
from meroid.store.proofs import SqlProofs


class SqlAuthRecords(SqlCredentials, SqlLogins, SqlAttempts, SqlChallenges, SqlProofs):
    """The port `AuthRecords` over SQL."""

    __slots__ = ()
