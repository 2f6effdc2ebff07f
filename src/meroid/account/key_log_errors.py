"""What can be wrong with a key log: one class for each thing that its reader can do differently."""

from meroid.errors import ConflictError, IntegrityError, NotFoundError


class BadKeyLogEntryError(IntegrityError):
    """An entry doesn't have the fields of its kind, or stands where its kind can't."""

    code = "bad_key_log_entry"
    next_step = "get the key log again from another node of the account"


class UnknownKeyLogKindError(IntegrityError):
    """An entry is of a kind that this version doesn't know, so nothing after it can be judged."""

    code = "key_log_unknown_kind"
    next_step = "update meroid, then verify the key log again"


class BadKeySetError(IntegrityError):
    """Keys, digests or members are out of order, twice there, too many, or fewer than their threshold."""

    code = "bad_key_set"
    next_step = "name each key once, and a threshold from 1 to their number"


class KeyLogGapError(IntegrityError):
    """An entry is missing, or stands twice: the numbers don't count up by one from 0."""

    code = "key_log_gap"
    next_step = "get the whole key log, in order, from another node of the account"


class KeyLogForkError(IntegrityError):
    """Two different entries follow the same one."""

    code = "key_log_fork"
    next_step = "resolve the fork from all entries that are known; somebody may have a copy of the account's key"


class KeyLogReplacedError(IntegrityError):
    """An entry doesn't build on the one before it: one of the two was replaced, or is from another log."""

    code = "key_log_replaced"
    next_step = "compare the key log with that of another node of the account; somebody may have replaced entries"


class WrongKeyLogSignerError(IntegrityError):
    """An entry is signed by a key that has no say in it."""

    code = "key_log_wrong_signer"
    next_step = "sign the entry with the account's current key"


class WrongGenerationError(IntegrityError):
    """An entry is signed by an account key of another generation: retired, or not in force yet."""

    code = "key_log_wrong_generation"
    next_step = "sign the entry with the account's current key; a retired key never signs again"


class TooFewSignaturesError(IntegrityError):
    """Fewer keys signed than the threshold asks for."""

    code = "key_log_too_few_signatures"
    next_step = "have more of the entitled keys sign the same entry"


class UncommittedKeyError(IntegrityError):
    """A rotation names a key that the keys before it didn't commit to."""

    code = "key_log_uncommitted_key"
    next_step = "rotate to the keys whose digests the last change of keys named"


class KeyReusedError(IntegrityError):
    """A key returns after it was retired, or would be account key and recovery member at once."""

    code = "key_log_key_reused"
    next_step = "take a fresh key"


class NoRecoverySetError(IntegrityError):
    """The account has no recovery set at this place, so nobody can recover it there."""

    code = "key_log_no_recovery_set"
    next_step = "restore the account from its phrase or its shares"


class DeviceTakenError(ConflictError):
    """The device number is claimed already."""

    code = "device_taken"
    next_step = "claim the next free device number"


class DeviceNotClaimedError(NotFoundError):
    """The device isn't claimed, or was revoked already."""

    code = "device_not_claimed"
    next_step = "list the account's devices"


class RootKeyBoundError(ConflictError):
    """The root key is bound already."""

    code = "root_key_bound"
    next_step = "list the account's root keys"


class RootKeyNotBoundError(NotFoundError):
    """The root key isn't bound."""

    code = "root_key_not_bound"
    next_step = "list the account's root keys"


class DelegationNotLiveError(NotFoundError):
    """The account made no delegation with this serial, or revoked it already."""

    code = "delegation_not_live"
    next_step = "see those in force: meroctl account export-log --out FILE, then meroctl account verify-log FILE"
