"""`merod account cosigner|draft|sign|assemble`: entries of a key log that several people sign (threshold accounts)."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from meroid.account.account_state import AccountState
from meroid.account.authority import AccountKeys, KeyChange, NextKeys, RecoveryMember, RecoverySet, next_key_digest
from meroid.account.changes import Change, Rotation
from meroid.account.description import describe
from meroid.account.draft_text import SignedDraft
from meroid.account.key_log import EntryDraft
from meroid.account.key_log_verifier import KeyLogVerifier
from meroid.account.seed import Seed
from meroid.account.succession import seed_generation
from meroid.app import Node, open_vaulted
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.merod.terminal import confirm, read_text
from meroid.config import Settings
from meroid.errors import ForbiddenError, InvalidInputError
from meroid.ids import AccountId, BadIdError, Id32
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer
from meroid.vault.private_file import write_private

_COSIGNING_KEYS: Final = 64


class NothingToSignError(ForbiddenError):
    """No key of this node's account has a say in the draft."""

    code = "nothing_to_sign"
    next_step = "ask who drafted it to name your key: merod account cosigner ACCOUNT"


class NothingToDraftError(InvalidInputError):
    """The account's key log lacks nothing, and no change was named."""

    code = "nothing_to_draft"
    next_step = "name a change: --rotate, or keys with --key and --next"


def show_cosigner(arguments: argparse.Namespace, settings: Settings) -> None:
    """The keys with which this node's account signs for another one."""
    account_id, first = AccountId.parse(arguments.account), arguments.number
    with _Opened(settings) as opened:
        now, following = (opened.seed.cosigning_key(account_id, first + place).public_key for place in range(2))
    print(f"key: {now}")
    print(f"digest of this key, to commit to it: {Id32(next_key_digest(now))}")
    print(f"digest of the key after it: {Id32(next_key_digest(following))}")


def draft(arguments: argparse.Namespace, settings: Settings) -> None:
    """Draft a change that others have to sign too, sign it here, and write it into a file."""
    with _Opened(settings) as opened:
        opened.check_settled(opened.account_id)
        change = _change(arguments, opened)
        made = SignedDraft.of(opened.entries, EntryDraft.of(opened.log, change))
        _show(made)
        made = made.signed_by(*opened.signers(made))
        write_private(Path(arguments.out), made.text.encode())
    print(f"signed by {len(made.signatures)}; the draft lies in {arguments.out}")


def sign(arguments: argparse.Namespace, settings: Settings) -> None:
    """Read what somebody drafted, say what it does, and sign it with every key here that has a say.

    Raises:
        NothingToSignError: none has.
        NotConfirmedError: nobody said yes.
    """
    given = SignedDraft.parse(read_text(arguments.file))
    with _Opened(settings) as opened:
        signers = list(opened.signers(given))
        if not signers:
            raise NothingToSignError("no key of this node's account has a say in it")
        opened.check_settled(given.draft.log.account_id)
        print(f"account {given.draft.log.account_id}:")
        _show(given)
        confirm("Sign it?", yes=arguments.yes)
        made = given.signed_by(*signers)
        write_private(Path(arguments.out), made.text.encode())
    print(f"signed by {len(made.signatures)}; the draft lies in {arguments.out}")


def assemble(arguments: argparse.Namespace, settings: Settings) -> None:
    """Put the signatures of several copies together, and add the entry to the log."""
    first, *others = (SignedDraft.parse(read_text(name)) for name in arguments.files)
    merged = first.merged(others)
    with _Opened(settings) as opened:
        entry = merged.assemble()
        log = opened.node.key_logs.take_entry(opened.account_id, entry.encoded)
    print(f"added; the key log has {log.length} entries, key generation {log.state.generation}")


def recovery(arguments: argparse.Namespace, settings: Settings) -> None:
    """Set, replace or remove the people who can recover the account, by a rotation; without either, show them."""
    with _Opened(settings) as opened:
        if not arguments.member and not arguments.remove:
            _show_recovery(opened.log.state)
            return
        chosen = None if arguments.remove else recovery_set(arguments.member, arguments.threshold)
        change = _own_keys(opened.seed, opened.log.state, chosen)
        made = SignedDraft.of(opened.entries, EntryDraft.of(opened.log, Rotation(change=change)))
        _show(made)
        confirm("Let the next account key take over, with this?", yes=arguments.yes)
        entry = made.signed_by(*opened.signers(made)).assemble()
        _show_recovery(opened.node.key_logs.take_entry(opened.account_id, entry.encoded).state)


def recovery_set(members: Sequence[str], threshold: int | None) -> RecoverySet:
    """The set from `LABEL=KEY` texts.

    Raises:
        BadKeySetError, BadIdError: a key or the threshold can't be.
    """
    made = []
    for text in members:
        label, _, key = text.rpartition("=")
        made.append(RecoveryMember(key=PublicKey.parse(key).checked(), label=label))
    return RecoverySet.of(*made, threshold=threshold if threshold is not None else len(made) // 2 + 1)


class _Opened:
    """The node's own account, opened on its machine."""

    def __init__(self, settings: Settings) -> None:
        self.node = Node(settings, open_vaulted(settings, make=False, ask=ask_on_terminal()))
        try:
            self.account_id = self.node.prepare()
            self.seed: Seed = self.node.keys.seed(self.account_id)
            self.entries = tuple(self.node.key_logs.entries(self.account_id))
            self.log = self.node.key_logs.read(self.account_id)
        except BaseException:
            self.node.close()
            raise

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.node.close()

    def check_settled(self, account_id: AccountId) -> None:
        """Refuse to sign on top of a log of this account that may be an old one: the entry would fork it.

        Raises:
            KeyLogUnsettledError: it came from a backup, and nobody said that it is the latest.
        """
        if account_id == self.account_id:
            self.node.key_logs.check_settled(account_id)

    def signers(self, made: SignedDraft) -> Iterator[Signer]:
        """Keys of this account that have a say in a draft."""
        log = made.draft.log
        entitled = KeyLogVerifier(log).entitled(made.draft.change)
        yield from (each for each in _all_keys(self.seed, log.state) if each.public_key in entitled)


def _all_keys(seed: Seed, state: AccountState) -> Iterator[Signer]:
    yield from (seed.account_key(generation) for generation in range(state.generation + 2))
    yield from (seed.cosigning_key(state.account_id, number) for number in range(_COSIGNING_KEYS))


def _change(arguments: argparse.Namespace, opened: _Opened) -> Change:
    state = opened.log.state
    named = arguments.key or arguments.next or arguments.threshold or arguments.next_threshold
    if not named and not arguments.rotate:
        pending = opened.node.key_logs.missing(opened.account_id)
        if not pending:
            raise NothingToDraftError("the log has all that this node knows")
        return pending[0]
    own = _own_keys(opened.seed, state, state.recovery)
    keys = AccountKeys.of(
        *own.keys.keys, *(PublicKey.parse(each).checked() for each in arguments.key), threshold=arguments.threshold or 1
    )
    following = NextKeys.of_digests(
        [*own.next.digests, *map(_digest, arguments.next)], threshold=arguments.next_threshold or 1
    )
    return Rotation(change=KeyChange(keys=keys, next=following, recovery=state.recovery))


def _own_keys(seed: Seed, state: AccountState, recovery: RecoverySet | None) -> KeyChange:
    """The next generation of this seed's own key, committing to the one after it.

    Raises:
        SeedNotOfAccountError: no key of the seed is in force.
    """
    following = seed_generation(state, seed) + 1
    return KeyChange(
        keys=AccountKeys.of(seed.account_key(following).public_key),
        next=NextKeys.of(seed.account_key(following + 1).public_key),
        recovery=recovery,
    )


def _digest(text: str) -> bytes:
    try:
        return bytes(Id32.parse(text))
    except BadIdError:
        raise BadIdError("a digest of a next key is base58 of 32 bytes") from None


def _show(made: SignedDraft) -> None:
    for line in describe(made.draft.change):
        print(f"  {line}")


def _show_recovery(state: AccountState) -> None:
    if state.recovery is None:
        print("nobody can recover this account but who has its words")
        return
    print(f"any {state.recovery.threshold} of these recover the account:")
    for member in state.recovery.members:
        print(f"  {member.label or '-'}: {member.key}")
