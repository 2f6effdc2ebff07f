"""The key log of an account: a hash chain of signed entries that anyone verifies from bytes alone.

The id of the inception *is* the account's id. Its two fields, the first account key and the digest
of the second, follow from the words alone, and so does the id. `key_log_entry` has the formats.

Who signs what:

- **Anything but a change of keys**: `threshold` of the current account keys.
- **Rotation**: the keys whose digests the change before named (all that it puts in force, and at
  least as many of them sign as that change asked for). So the current key can't rotate, and the
  keys that can were never shown. Two further groups may sign it too, and it weighs more in a fork:
  the outgoing keys, and the recovery set. It also states the recovery set from then on; nothing else
  sets, replaces or removes one, so the current key can't do that either.
- **Recovery**: `threshold` members of the recovery set, and the new keys, to show that somebody
  holds them. It needs no key of the account.

A retired key never returns. An entry that isn't entitled is refused, and nothing changes.

**A stolen current key** can claim and revoke devices, bind and remove root keys, delegate and
revoke client keys, and fork the log below these entries. It can't rotate, touch the recovery set,
recover, or derive any other key. The owner rotates on the last entry that is the owner's own: this
outranks all that the thief made (`key_log_branches`), and the stolen key is retired for good.
**Stolen next key**, without the current one: a rotation that outgoing keys don't sign, outranked
by the owner's, which they do. **Stolen retired key**: nothing; its forks are outranked. **Both, two
in a row**: the rotation between them can be made twice, and is contested until a recovery.
**Stolen seed**: every key of the line; only the recovery set outranks it, and only if it was set
before the fork. So who fears for the words keeps the recovery set, or the keys of a threshold account, elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import next_key_digest
from meroid.account.changes import Change, DeviceClaim
from meroid.account.key_log_entry import ENTRY_TAG, KeyLogEntry, change_payload, inception_payload, parse_change
from meroid.account.key_log_errors import KeyLogGapError
from meroid.account.key_log_verifier import KeyLogVerifier
from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.canonical import tagged_message
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer


def incept(seed: Seed) -> KeyLogEntry:
    """The first entry of an account's log; the same seed always gives the same one."""
    signer = seed.account_key(0)
    payload = inception_payload(signer.public_key, next_key_digest(seed.account_key(1).public_key))
    return KeyLogEntry.sign(payload, [signer])


def account_id_of(seed: Seed) -> AccountId:
    """The id of the account that a seed opens."""
    return AccountId(incept(seed).entry_id)


def verify_key_log(entries: Iterable[bytes]) -> VerifiedKeyLog:
    """Verify a whole log, from its inception on; the entries are read once and not kept.

    Raises:
        KeyLogGapError: empty, or an entry is missing or stands twice.
        KeyLogForkError: an entry follows the same one as the entry before it.
        KeyLogReplacedError: an entry doesn't build on the one before it.
        WrongGenerationError, WrongKeyLogSignerError, TooFewSignaturesError, BadSignatureError:
            signed by a key of another generation, by a stranger, by too few, or not at all.
        UncommittedKeyError, KeyReusedError, NoRecoverySetError, BadKeySetError, BadPublicKeyError:
            a change of keys that can't be.
        DeviceTakenError, DeviceNotClaimedError, RootKeyBoundError, RootKeyNotBoundError,
        DelegationNotLiveError: it does what was done, or undoes what wasn't.
        UnknownKeyLogKindError, BadKeyLogEntryError, BadEnvelopeError, NotCanonicalError: an
            entry can't be read.
    """
    rest = iter(entries)
    first = next(rest, None)
    if first is None:
        raise KeyLogGapError("a key log has at least its inception")
    verifier = KeyLogVerifier.begin(first)
    for entry in rest:
        verifier.add(entry)
    return verifier.verified()


def extend_key_log(log: VerifiedKeyLog, entry: bytes) -> VerifiedKeyLog:
    """Verify one more entry of a log that was verified before.

    Raises:
        IntegrityError, ConflictError, NotFoundError: as `verify_key_log`.
    """
    verifier = KeyLogVerifier(log)
    verifier.add(entry)
    return verifier.verified()


def claim_device(log: VerifiedKeyLog, device: int, *signers: Signer) -> KeyLogEntry:
    """The next entry: it claims a device number, signed by the account's current key or keys.

    Raises:
        DeviceTakenError: the number is claimed already.
        WrongGenerationError, WrongKeyLogSignerError, TooFewSignaturesError: other signers.
    """
    return EntryDraft.of(log, DeviceClaim(device=device)).signed(*signers)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryDraft:
    """The next entry of a log before it is signed; those who sign may sit at different places.

    Each of them reads the same payload (`parse`), looks at `change`, and signs; anyone assembles.
    """

    log: VerifiedKeyLog
    change: Change
    payload: bytes

    @classmethod
    def of(cls, log: VerifiedKeyLog, change: Change) -> Self:
        """The entry that makes this change on top of this log."""
        return cls(log=log, change=change, payload=change_payload(log.length, log.head, change))

    @classmethod
    def parse(cls, log: VerifiedKeyLog, payload: bytes) -> Self:
        """Read what somebody else drafted for the same log.

        Raises:
            KeyLogGapError, KeyLogForkError, KeyLogReplacedError: drafted for another place.
            UnknownKeyLogKindError, BadKeyLogEntryError, BadKeySetError, NotCanonicalError: unreadable.
        """
        seq, prev, change = parse_change(payload)
        KeyLogVerifier(log).check_place(seq, prev, b"")
        return cls(log=log, change=change, payload=payload)

    def sign(self, signer: Signer) -> tuple[PublicKey, bytes]:
        """One signature: the key and 64 bytes."""
        return signer.public_key, signer.sign(tagged_message(ENTRY_TAG, self.payload))

    def assemble(self, signatures: Iterable[tuple[PublicKey, bytes]]) -> KeyLogEntry:
        """The entry with its signatures, verified on top of the log.

        Raises:
            IntegrityError, ConflictError, NotFoundError: as `verify_key_log`.
        """
        envelope = Envelope(payload=self.payload, signatures=tuple(sorted(signatures)))
        entry = KeyLogEntry(envelope=envelope)
        extend_key_log(self.log, entry.encoded)
        return entry

    def signed(self, *signers: Signer) -> KeyLogEntry:
        """The entry, signed by these keys and verified on top of the log.

        Raises:
            IntegrityError, ConflictError, NotFoundError: as `verify_key_log`.
        """
        return self.assemble(self.sign(signer) for signer in signers)
