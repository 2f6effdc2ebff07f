"""Rotation and recovery of accounts with a single key that grows from a seed.

Accounts of several people assemble an `EntryDraft` instead.
"""

from collections.abc import Sequence

from meroid.account.account_state import AccountState, VerifiedKeyLog
from meroid.account.authority import AccountKeys, KeyChange, NextKeys, RecoverySet
from meroid.account.changes import Recovery, Rotation
from meroid.account.key_log import EntryDraft
from meroid.account.key_log_entry import KeyLogEntry
from meroid.account.seed import Seed
from meroid.errors import InvalidInputError
from meroid.keys.signer import Signer


class SeedNotOfAccountError(InvalidInputError):
    """No account key of the seed is in force: it opens another account, or was replaced by a recovery."""

    code = "seed_not_of_account"
    next_step = "give the phrase that belongs to the account as it is now"


def seed_generation(state: AccountState, seed: Seed) -> int:
    """The generation of the seed's account key that is in force.

    After a recovery a new seed starts again from 0, so it isn't the state's own count.

    Raises:
        SeedNotOfAccountError: none is.
    """
    for generation in range(state.generation, -1, -1):
        if seed.account_key(generation).public_key in state.keys.keys:
            return generation
    raise SeedNotOfAccountError("no account key of this seed is in force")


def keys_from_seed(seed: Seed, generation: int, recovery: RecoverySet | None) -> KeyChange:
    """A change that puts one generation of a seed in force and commits to the one after it."""
    return KeyChange(
        keys=AccountKeys.of(seed.account_key(generation).public_key),
        next=NextKeys.of(seed.account_key(generation + 1).public_key),
        recovery=recovery,
    )


def rotate(
    log: VerifiedKeyLog, seed: Seed, *, recovery: RecoverySet | None, consent: Sequence[Signer] = ()
) -> KeyLogEntry:
    """The next generation takes over, signed by it and by the outgoing key.

    `recovery` is the recovery set from then on, none removes it: `log.state.recovery` keeps it. The
    set before it stays able to recover *before* this entry unless `threshold` of it sign as `consent`.

    Raises:
        SeedNotOfAccountError: no key of the seed is in force.
        IntegrityError: as `key_log.verify_key_log`.
    """
    generation = seed_generation(log.state, seed)
    draft = EntryDraft.of(log, Rotation(change=keys_from_seed(seed, generation + 1, recovery)))
    return draft.signed(seed.account_key(generation), seed.account_key(generation + 1), *consent)


def recover(
    log: VerifiedKeyLog,
    seed: Seed,
    members: Sequence[Signer],
    *,
    recovery: RecoverySet | None,
    generation: int = 0,
) -> KeyLogEntry:
    """The recovery set hands the account to a key of a seed, normally the first one of a new seed.

    `log` ends with the last entry that is to be kept: before a thief's, where there was a theft.

    Raises:
        NoRecoverySetError: nobody can recover the account at this place.
        IntegrityError: as `key_log.verify_key_log`.
    """
    draft = EntryDraft.of(log, Recovery(change=keys_from_seed(seed, generation, recovery)))
    return draft.signed(seed.account_key(generation), *members)
