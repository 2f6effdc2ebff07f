"""`merod account …`: the node's own account, on the machine that has its store and key store."""

import sys
from collections.abc import Iterator

from meroid.account.phrase import confirm_phrase, places_to_confirm
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.config import Settings
from meroid.errors import InvalidInputError

_COLUMNS = 4
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"  # screen and scrollback; cursor to the top


class NoTerminalError(InvalidInputError):
    """The words are shown on a terminal only."""

    code = "needs_terminal"
    next_step = "run the command on a terminal of the node's own machine"


def back_up(settings: Settings) -> None:
    """Show the words once, have three of them confirmed, and note it; they never go to a file or a log.

    Raises:
        NoTerminalError: input or output isn't a terminal.
        StoreInUseError: the node runs; stop it first.
        PhraseNotConfirmedError: a word was another one; nothing was noted.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminalError("the words are shown on a terminal only")

    from meroid.app import Node, open_vaulted  # noqa: PLC0415  # heavy, and not needed for --help

    node = Node(settings, open_vaulted(settings, make=False, ask=ask_on_terminal()))
    try:
        account_id = node.prepare()
        phrase = node.keys.words(account_id)
        print(
            f"The words of account {account_id}. Write them down on paper, in this order; who has them has the account."
        )
        print("\n".join(_lines(phrase.reveal().decode("ascii").split())))
        input("Press Enter when you have written them down; they are wiped from the screen then. ")
        print(_CLEAR, end="")
        places = places_to_confirm(phrase)
        confirm_phrase(phrase, {place: input(f"Word {place}: ") for place in places})
        at = node.clock.now_ms()
        node.store.write(lambda tx: tx.accounts.set_backed_up(account_id, at))
        print("The backup is confirmed. The command that restores from it comes with a later version.")
    finally:
        node.close()


def _lines(words: list[str]) -> Iterator[str]:
    rows = -(-len(words) // _COLUMNS)
    for row in range(rows):
        numbered = [f"{place + 1:>2}. {words[place]:<10}" for place in range(row, len(words), rows)]
        yield "  " + "".join(numbered).rstrip()
