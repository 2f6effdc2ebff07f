"""`merod account recover`: an account whose words are lost, handed to new words by its recovery set.

1. `recover --log FILE --out DRAFT` on the new machine: new words, and a draft that names their key.
2. The members of the recovery set sign it, each on their own node: `merod account sign DRAFT --out SIGNED`.
3. `recover --finish SIGNED SIGNED` with the new words makes the home.
"""

import argparse
from pathlib import Path

from meroid.account.changes import Recovery
from meroid.account.draft_text import SignedDraft
from meroid.account.key_log import EntryDraft, verify_key_log
from meroid.account.key_log_errors import NoRecoverySetError
from meroid.account.key_log_text import parse_key_log_text
from meroid.account.seed import Seed
from meroid.account.succession import keys_from_seed
from meroid.cli.merod.account_restore import NodePresentError, make_home, read_seed
from meroid.cli.merod.greeting import how_to_type
from meroid.cli.merod.terminal import confirm, need_terminal, read_text, show_words
from meroid.config import CONFIG_FILE, Settings
from meroid.errors import InvalidInputError
from meroid.service.backups import Kept
from meroid.vault.private_file import write_private


class NoRecoveryStepError(InvalidInputError):
    """It isn't said which step of a recovery is meant."""

    code = "no_recovery_step"
    next_step = "begin with --log FILE --out DRAFT, and end with --finish SIGNED…"


def recover(arguments: argparse.Namespace, settings: Settings) -> None:
    """Begin a recovery, or finish one.

    Raises:
        NoRecoveryStepError, NodePresentError: as they say.
        NoRecoverySetError: the account has no recovery set.
        TooFewSignaturesError: too few members signed; nothing was made.
    """
    if arguments.finish:
        _finish(arguments, settings)
    elif arguments.log is not None and arguments.out is not None:
        _begin(arguments)
    else:
        raise NoRecoveryStepError("a recovery has a beginning and an end")


def _begin(arguments: argparse.Namespace) -> None:
    entries = parse_key_log_text(read_text(arguments.log))
    log = verify_key_log(entries)
    recovery = log.state.recovery
    if recovery is None:
        raise NoRecoverySetError("nobody can recover this account but who has its words")
    if arguments.words_file is not None:
        seed = read_seed(arguments)
    else:
        need_terminal()
        seed = Seed.generate()
        show_words(f"The new words of account {log.account_id}. Write them down on paper, in this order.", seed.words())
    change = Recovery(change=keys_from_seed(seed, 0, recovery))
    draft = SignedDraft.of(entries, EntryDraft.of(log, change)).signed_by(seed.account_key(0))
    write_private(Path(arguments.out), draft.text.encode())
    print(f"The draft lies in {arguments.out}. It takes the signatures of {recovery.threshold} of the recovery set:")
    for member in recovery.members:
        print(f"  {member.label or '-'}: {member.key}")
    print("Each of them: merod account sign DRAFT --out SIGNED. Then, here: merod account recover --finish SIGNED…")


def _finish(arguments: argparse.Namespace, settings: Settings) -> None:
    if (settings.home / CONFIG_FILE).exists():
        raise NodePresentError(f"there is a node {settings.name!r} in this home")
    first, *others = (SignedDraft.parse(read_text(name)) for name in arguments.finish)
    merged = first.merged(others)
    entry = merged.assemble()
    print(f"This recovers account {merged.draft.log.account_id} with {len(merged.signatures)} signatures.")
    print("Its client keys were the lost words'; have new identities invited or linked where it was a member.")
    confirm("Go on?", yes=arguments.yes)
    seed = read_seed(arguments)
    make_home(settings, Kept(seed=seed, key_log=(*merged.entries, entry.encoded), latest=True))
    print(f"recovered as node {settings.name!r}; run it with: {how_to_type(settings.home, 'run')}")
