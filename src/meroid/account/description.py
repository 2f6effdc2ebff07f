"""What a change of a key log does, in words for the person who is asked to sign it."""

from collections.abc import Iterator
from typing import assert_never

from meroid.account.authority import KeyChange
from meroid.account.changes import (
    Change,
    Delegation,
    DelegationRevocation,
    DeviceClaim,
    DeviceRevocation,
    Recovery,
    RootKeyBinding,
    RootKeyRemoval,
    Rotation,
)
from meroid.ids import Id32


def describe(change: Change) -> tuple[str, ...]:
    """Sentences, the first of which says what it is."""
    match change:
        case Rotation(change=keys):
            return ("the account's keys change (rotation)", *_keys(keys))
        case Recovery(change=keys):
            return ("the recovery set hands the account to new keys (recovery)", *_keys(keys))
        case DeviceClaim(device=device):
            return (f"device {device} joins the account",)
        case DeviceRevocation(device=device):
            return (f"device {device} leaves the account for good",)
        case RootKeyBinding(method=method):
            return (f"a log-in by {method} opens the account",)
        case RootKeyRemoval():
            return ("a log-in opens the account no longer",)
        case Delegation(serial=serial):
            return (f"certificate {serial} for a client key comes into force",)
        case DelegationRevocation(serial=serial):
            return (f"certificate {serial} ends",)
        case _:
            assert_never(change)


def _keys(new: KeyChange) -> Iterator[str]:
    yield f"from then on {new.keys.threshold} of {len(new.keys.keys)} keys sign for it: {', '.join(map(str, new.keys.keys))}"
    yield f"the next change of keys takes {new.next.threshold} of {len(new.next.digests)} keys that are committed to"
    yield f"these are committed to, by digest: {', '.join(str(Id32(each)) for each in new.next.digests)}"
    if new.recovery is None:
        yield "there is no recovery set"
    else:
        # the key first: a label is free text, and could show another key in brackets
        names = ", ".join(f"{each.key} ({each.label or 'no name'})" for each in new.recovery.members)
        yield f"any {new.recovery.threshold} of these recover it: {names}"
