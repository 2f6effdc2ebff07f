"""Accounts for tests: an owner who keeps a key log, and keys with names."""

from collections.abc import Callable, Sequence

import pytest

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import AccountKeys, KeyChange, NextKeys, RecoveryMember, RecoverySet
from meroid.account.changes import Change, Delegation, DeviceClaim, Rotation
from meroid.account.key_log import EntryDraft, incept, verify_key_log
from meroid.account.seed import Seed
from meroid.account.succession import recover, rotate, seed_generation
from meroid.errors import MeroidError
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner


def seed_of(name: str) -> Seed:
    """A seed that is always the same for a name."""
    return Seed(Secret(name.encode().ljust(32, b".")))


def signer_of(name: str) -> SoftwareSigner:
    """A key pair that is always the same for a name."""
    return SoftwareSigner(Secret(name.encode().ljust(32, b"-")))


def recovery_set(*names: str, threshold: int) -> RecoverySet:
    """People who help to recover, by name."""
    return RecoverySet.of(
        *(RecoveryMember(key=signer_of(name).public_key, label=name) for name in names), threshold=threshold
    )


def code_of(action: Callable[[], object]) -> str:
    """The code of the refusal that an action ends in."""
    with pytest.raises(MeroidError) as caught:
        action()
    assert caught.value.reason
    assert caught.value.next_step
    return caught.value.code


class Owner:
    """An account with its log; every step goes on top of the last entry."""

    def __init__(self, name: str = "owner", entries: Sequence[bytes] = ()) -> None:
        self.seed = seed_of(name)
        self.entries = list(entries) or [incept(self.seed).encoded]
        self.log = verify_key_log(self.entries)

    def at(self, length: int) -> VerifiedKeyLog:
        """The log as it was when it had so many entries."""
        return verify_key_log(self.entries[:length])

    def branch(self, length: int) -> "Owner":
        """The same owner, who goes on from an earlier entry."""
        other = Owner(entries=self.entries[:length])
        other.seed = self.seed
        return other

    @property
    def key(self) -> SoftwareSigner:
        return self.seed.account_key(seed_generation(self.log.state, self.seed))

    def add(self, entry: bytes) -> bytes:
        self.entries.append(entry)
        self.log = verify_key_log(self.entries)
        return entry

    def make(self, change: Change, *signers: SoftwareSigner) -> bytes:
        return self.add(EntryDraft.of(self.log, change).signed(*(signers or (self.key,))).encoded)

    def claim(self, device: int) -> bytes:
        return self.make(DeviceClaim(device=device))

    def delegate(self, certificate: bytes = bytes(32)) -> bytes:
        return self.make(Delegation(serial=self.log.state.next_serial, certificate=certificate))

    def rotate(self, *consent: str, **changed: RecoverySet | None) -> bytes:
        """Rotate; `recovery=` replaces the recovery set, with the consent of the named members."""
        recovery = changed.get("recovery", self.log.state.recovery)
        return self.add(rotate(self.log, self.seed, recovery=recovery, consent=list(map(signer_of, consent))).encoded)

    def recover(self, new_seed: Seed, *members: str, **changed: RecoverySet | None) -> bytes:
        recovery = changed.get("recovery", self.log.state.recovery)
        entry = recover(self.log, new_seed, list(map(signer_of, members)), recovery=recovery)
        self.seed = new_seed
        return self.add(entry.encoded)


def uncosigned_rotation(log: VerifiedKeyLog, by: SoftwareSigner, then: SoftwareSigner) -> bytes:
    """A rotation that the outgoing key doesn't sign, to a key that commits to another one."""
    change = KeyChange(keys=AccountKeys.of(by.public_key), next=NextKeys.of(then.public_key), recovery=None)
    return EntryDraft.of(log, Rotation(change=change)).signed(by).encoded
