"""`merod account backup`: the words, shares of them, a sheet to print, and the encrypted list."""

import argparse
import re
from pathlib import Path
from typing import Final

from meroid.account.backup import backup_text, seal_backup
from meroid.account.seed import Seed
from meroid.account.shares import split_seed
from meroid.account.sheet import Share, Sheet, list_codes, render_html
from meroid.app import Node, open_vaulted
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.merod.terminal import need_terminal, show_words
from meroid.config import Settings
from meroid.errors import InvalidInputError
from meroid.keys.signer import Secret
from meroid.vault.private_file import write_private
from meroid.vault.sheet_pdf import render_pdf

_COMMON_WORDS: Final = 4
"""The first words of a share tell its set and its place; they are alike in all of them."""


class BadSharesError(InvalidInputError):
    """The scheme of the shares isn't like 2/3."""

    code = "bad_share_count"
    next_step = "write how many restore the account and how many there are: --shares 2/3"


class BadSheetNameError(InvalidInputError):
    """The name of the sheet's file says neither HTML nor PDF."""

    code = "bad_sheet_name"
    next_step = "name it something.html or something.pdf"


def back_up(arguments: argparse.Namespace, settings: Settings) -> None:
    """Make the backups that were asked for; without any, show the words.

    Raises:
        NoTerminalError: the words, or shares, are to be shown, and there is no terminal.
        StoreInUseError: the node runs; stop it first.
        PhraseNotConfirmedError: a word was another one; nothing was noted.
        BadSharesError, BadShareSchemeError, BadSheetNameError, PaperNotInstalledError: as they say.
        FileTakenError, FileUnwritableError: a file can't be made; those before it stay.
    """
    shares = _scheme(arguments.shares)
    sheet = None if arguments.sheet is None else Path(arguments.sheet)
    if sheet is not None and sheet.suffix.lower() not in {".html", ".pdf"}:
        raise BadSheetNameError("a sheet is a page (.html) or a document (.pdf)")
    if sheet is None and (shares is not None or arguments.file is None):
        need_terminal()
    node = Node(settings, open_vaulted(settings, make=False, ask=ask_on_terminal()))
    try:
        _Backup(node, arguments, shares).make(sheet)
    finally:
        node.close()


class _Backup:
    """One run of the command on an open node."""

    def __init__(self, node: Node, arguments: argparse.Namespace, shares: tuple[int, int] | None) -> None:
        self._node = node
        self._arguments = arguments
        self._shares = shares
        self._account_id = node.prepare()
        self._at = node.clock.now_ms()
        self._seed: Seed = node.keys.seed(self._account_id)

    def make(self, sheet: Path | None) -> None:
        if self._arguments.file is not None:
            path = Path(self._arguments.file)
            write_private(path, backup_text(self._sealed()).encode())
            print(f"The encrypted list of account {self._account_id} lies in {path}; it opens with the words only.")
        if sheet is not None:
            self._print(sheet)
        elif self._shares is not None:
            self._show_shares(*self._shares)
        elif self._arguments.file is None:
            title = f"The words of account {self._account_id}. Write them down on paper, in this order; who has them has the account."
            show_words(title, self._seed.words())
            self._note()
            print(
                "The backup is confirmed. What restores it: merod account restore. Keep a backup file beside it: --file"
            )

    def _sealed(self) -> bytes:
        return seal_backup(self._node.backups.contents(self._account_id, self._at), self._seed)

    def _print(self, path: Path) -> None:
        codes = () if self._arguments.without_list else list_codes(self._sealed())
        if self._shares is None:
            self._write(
                path, Sheet(account_id=self._account_id, words=self._seed.words(), made_at=self._at, codes=codes)
            )
        else:
            threshold, count = self._shares
            for number, words in enumerate(split_seed(self._seed, threshold=threshold, count=count), start=1):
                share = Share(number=number, count=count, threshold=threshold)
                page = Sheet(account_id=self._account_id, words=words, made_at=self._at, share=share, codes=codes)
                self._write(path.with_stem(f"{path.stem}-{number}"), page)
        self._note()
        print("Print it on a printer that keeps no copies, then destroy the file: who reads it has the account.")

    def _write(self, path: Path, sheet: Sheet) -> None:
        is_pdf = path.suffix.lower() == ".pdf"
        page: Secret = render_pdf(sheet, self._arguments.paper) if is_pdf else render_html(sheet)
        write_private(path, page)
        page.wipe()
        print(f"sheet written to {path}")

    def _show_shares(self, threshold: int, count: int) -> None:
        for number, words in enumerate(split_seed(self._seed, threshold=threshold, count=count), start=1):
            show_words(
                f"Share {number} of {count} of account {self._account_id}; any {threshold} restore it. "
                "Write it down on a sheet of its own.",
                words,
                asked=2,
                behind=_COMMON_WORDS,
            )
        self._note()
        print(f"The {count} shares are confirmed. Keep each in another place.")

    def _note(self) -> None:
        self._node.store.write(lambda tx: tx.accounts.set_backed_up(self._account_id, self._at))


def _scheme(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})", text)
    if match is None:
        raise BadSharesError("shares are like 2/3")
    return int(match[1]), int(match[2])
