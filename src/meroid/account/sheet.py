"""The printable sheet of an account: words, QR codes, instructions and the encrypted list, as one HTML page.

The encrypted list (key log, slots, contexts, endpoints; `design.md` §4) is cut into codes that a
camera reads and that can be typed too, in any order and case:

    MEROID1/part/parts/list/data/check

`part` counts from 1; `list` is the base32 of the first 5 bytes of SHA-256 of the whole list; `data`
is base32 (RFC 4648, no padding) of at most 576 bytes; `check` are 4 characters of the base32 of
SHA-256 of all that stands before it, up to the last slash.
"""

import base64
import binascii
import hashlib
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meroid.errors import InvalidInputError
from meroid.ids import AccountId
from meroid.keys.signer import Secret

CODE_BYTES: Final = 576
"""Bytes of the list in one code: a QR code of version 20, which prints well at 6 cm."""
CODES: Final = 64
"""Codes of one sheet at most; a longer list goes into a backup file."""

_MAGIC: Final = "MEROID1"
_LIST_BYTES, _CHECK_CHARACTERS = 5, 4
_CODE: Final = re.compile(r"MEROID1/(\d{1,2})/(\d{1,2})/([A-Z2-7]{8})/([A-Z2-7]+)/([A-Z2-7]{4})")
_LONGEST_CODE: Final = 2048
_WORDS: Final = re.compile(r"[a-z]+( [a-z]+)*")
_DAY_MS: Final = 86_400_000


class SheetTooLongError(InvalidInputError):
    """The encrypted list doesn't fit on a sheet."""

    code = "sheet_too_long"
    next_step = "print the sheet without the list, and keep a backup file beside it"


class SheetCodeDamagedError(InvalidInputError):
    """A code was read or typed wrongly."""

    code = "sheet_code_damaged"
    next_step = "scan or type that code again; letters and digits look alike: there is no 0, 1, 8 or 9 in the data"


class SheetCodesMixedError(InvalidInputError):
    """The codes are of two sheets."""

    code = "sheet_codes_mixed"
    next_step = "take all codes from one sheet; the eight characters after the second number are the same on each"


class SheetIncompleteError(InvalidInputError):
    """Codes are missing."""

    code = "sheet_incomplete"
    next_step = "add the codes that are missing; without them the words still restore the account and its keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One SLIP-39 share: its number (from 1), how many there are, and how many restore the account."""

    number: int
    count: int
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What stands on a sheet.

    `words` is the recovery phrase, or one share if `share` says so: lower-case ASCII, single spaces.
    `made_at` in ms since the epoch. `codes` come from `list_codes`; empty without a list.
    """

    account_id: AccountId
    words: Secret
    made_at: int
    share: Share | None = None
    codes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _WORDS.fullmatch(self.words.reveal().decode("ascii", "replace")):
            raise ValueError("the words of a sheet are lower-case ASCII with single spaces")

    @property
    def title(self) -> str:
        """What the sheet is."""
        if self.share is None:
            return "Recovery sheet"
        return f"Recovery sheet: share {self.share.number} of {self.share.count}"

    @property
    def warning(self) -> str:
        """What it means to hold it."""
        if self.share is None:
            return "Whoever reads these words has this account, with all its keys, for good. Treat the sheet like cash."
        return (
            f"Any {self.share.threshold} of the {self.share.count} shares restore this account with all its keys. "
            "Keep each in another place, and tell nobody where the others are."
        )

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Names and values that are no secret."""
        codes = f"{len(self.codes)} on the pages that follow" if self.codes else "none on this sheet"
        return (("Account", str(self.account_id)), ("Made on", f"{date_of(self.made_at)} (UTC)"), ("Codes", codes))

    def numbered_words(self) -> list[tuple[int, str]]:
        """The words with their places, from 1."""
        return list(enumerate(self.words.reveal().decode().split(" "), start=1))

    def steps(self) -> tuple[str, ...]:
        """What to do, in order."""
        words = "the words" if self.share is None else f"the words of any {self.share.threshold} shares, one by one,"
        steps = [
            "Install meroid on a machine that you trust, without starting a node on it.",
            f"Run: merod --node-name NAME account restore, and type {words} when you are asked. Small letters, one space "
            "between words.",
            "Compare: the account that it shows must be the one on this sheet, to the last character.",
        ]
        if self.codes:
            steps.append(
                "For your contexts and their members' addresses, scan or type the codes of the pages that follow into a "
                "file, one on each line, in any order, and add --codes-file FILE. They are encrypted. Without them the "
                "account and its keys come back all the same."
            )
        steps.append(
            "The restored machine is a new device. If somebody else may have read these words, rotating keys doesn't help: "
            "all of them follow from the words. Let your recovery set hand the account to new words (merod account recover)"
            ", or begin a new account, and have the old client keys removed."
        )
        return tuple(steps)

    def cautions(self) -> tuple[str, ...]:
        """What not to do with it."""
        return (
            "Never type or scan the words into a web site, a chat or a picture; nobody has a reason to ask for them.",
            "Print it on a printer that keeps no copies, then delete the file. Paper fades: look at it once a year.",
        )


def list_codes(encrypted: bytes) -> tuple[str, ...]:
    """Cut the encrypted list into codes; none for an empty list.

    Raises:
        SheetTooLongError: it needs more than 64 codes (36,864 bytes).
    """
    parts = [encrypted[start : start + CODE_BYTES] for start in range(0, len(encrypted), CODE_BYTES)]
    if len(parts) > CODES:
        raise SheetTooLongError(f"the list has {len(encrypted)} bytes, and a sheet holds {CODES * CODE_BYTES}")
    name = _base32(hashlib.sha256(encrypted).digest()[:_LIST_BYTES])
    heads = [f"{_MAGIC}/{number}/{len(parts)}/{name}/{_base32(part)}" for number, part in enumerate(parts, start=1)]
    return tuple(f"{head}/{_check(head)}" for head in heads)


def join_codes(codes: Iterable[str]) -> bytes:
    """The encrypted list of a sheet's codes, given in any order; spaces, line breaks and case don't matter.

    Raises:
        SheetCodeDamagedError: a code is malformed or doesn't pass its check.
        SheetCodesMixedError: they are of two lists.
        SheetIncompleteError: there are none, or some are missing.
    """
    parts: dict[int, bytes] = {}
    lists: set[tuple[str, int]] = set()
    for place, text in enumerate(codes, start=1):
        number, count, name, data = _parse(text, place)
        lists.add((name, count))
        if len(lists) > 1:
            raise SheetCodesMixedError(f"code {place} is of another list than those before it")
        parts[number] = data
    if not lists:
        raise SheetIncompleteError("there are no codes")
    ((name, count),) = lists
    missing = [str(number) for number in range(1, count + 1) if number not in parts]
    if missing:
        raise SheetIncompleteError(f"of {count} codes these are missing: {', '.join(missing)}")
    whole = b"".join(parts[number] for number in range(1, count + 1))
    if _base32(hashlib.sha256(whole).digest()[:_LIST_BYTES]) != name:
        raise SheetCodeDamagedError("all codes are there, but together they aren't the list")
    return whole


def date_of(at: int) -> str:
    """The day (UTC) of a time in ms since the epoch, as 2026-11-22."""
    # Days since 0000-03-01, so that the leap day is the last one of a year of this count.
    days = at // _DAY_MS + 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    year = era * 400 + year_of_era + month // 10
    return f"{year:04}-{month + 3 if month < 10 else month - 9:02}-{day:02}"


def grouped(code: str) -> str:
    """A code for the eye: groups of six characters with a space between them, which `join_codes` ignores."""
    return " ".join(code[start : start + 6] for start in range(0, len(code), 6))


def qr_rows(text: str) -> tuple[tuple[bool, ...], ...]:
    """The modules of a QR code (error correction M), rows from the top, without the white border; True is black."""
    import segno  # noqa: PLC0415 - loading it takes longer than what most commands do

    return tuple(tuple(bool(module) for module in row) for row in segno.make_qr(text, error="m").matrix)


def render_html(sheet: Sheet) -> Secret:
    """The sheet as a page without scripts, links or anything that is loaded; UTF-8."""
    words = "".join(f"<li>{html.escape(word)}</li>" for _, word in sheet.numbered_words())
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in sheet.facts())
    steps = "".join(f"<li>{html.escape(step)}</li>" for step in sheet.steps())
    cautions = "".join(f"<li>{html.escape(caution)}</li>" for caution in sheet.cautions())
    page = _PAGE.format(
        style=_STYLE,
        title=html.escape(sheet.title),
        warning=html.escape(sheet.warning),
        facts=facts,
        words=words,
        qr=_svg(sheet.words.reveal().decode(), "The words as QR code"),
        steps=steps,
        cautions=cautions,
        codes=_codes_html(sheet),
    )
    return Secret(page.encode())


def _parse(text: str, place: int) -> tuple[int, int, str, bytes]:
    packed = "".join(text.split()).upper() if len(text) <= _LONGEST_CODE else ""
    match = _CODE.fullmatch(packed)
    if match is None:
        raise SheetCodeDamagedError(f"code {place} doesn't have the form of one")
    number, count, name, data, check = int(match[1]), int(match[2]), match[3], match[4], match[5]
    if _check(packed.rpartition("/")[0]) != check or not 1 <= number <= count <= CODES:
        raise SheetCodeDamagedError(f"code {place} doesn't pass its check")
    try:
        return number, count, name, base64.b32decode(data + "=" * (-len(data) % 8))
    except binascii.Error:
        raise SheetCodeDamagedError(f"code {place} doesn't hold whole bytes") from None


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=")


def _check(head: str) -> str:
    return _base32(hashlib.sha256(head.encode()).digest())[:_CHECK_CHARACTERS]


def _svg(text: str, title: str) -> str:
    """A QR code as one path, a black bar for each run of modules; four modules of white around it."""
    rows = qr_rows(text)
    bars = []
    for y, row in enumerate(rows):
        for run in re.finditer("1+", "".join("01"[module] for module in row)):
            bars.append(f"M{run.start() + 4} {y + 4}h{run.end() - run.start()}v1H{run.start() + 4}z")
    size = len(rows) + 8
    return (
        f'<svg viewBox="0 0 {size} {size}" role="img" shape-rendering="crispEdges">'
        f'<title>{html.escape(title)}</title><path d="{"".join(bars)}"/></svg>'
    )


def _codes_html(sheet: Sheet) -> str:
    cards = [
        f"<figure>{_svg(code, f'Code {number}')}<figcaption><b>Code {number} of {len(sheet.codes)}</b>"
        f"<code>{html.escape(grouped(code))}</code></figcaption></figure>"
        for number, code in enumerate(sheet.codes, start=1)
    ]
    pages = [cards[start : start + 4] for start in range(0, len(cards), 4)]
    account = html.escape(str(sheet.account_id))
    return "".join(
        f'<section class="codes"><h2>The encrypted list</h2><p>of account <code>{account}</code></p>'
        f"<div>{''.join(page)}</div></section>"
        for page in pages
    )


_STYLE: Final = """
@page { size: auto; margin: 14mm }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 182mm; font: 10.5pt/1.4 Georgia, "Times New Roman", serif; color: #000;
  background: #fff }
h1 { font-size: 20pt; margin: 0 0 1mm } h1 small { float: right; font-size: 11pt; font-weight: normal;
  padding-top: 3mm }
h2 { font-size: 12.5pt; margin: 5mm 0 1.5mm; border-bottom: .3mm solid #000 }
.warning { border: .6mm solid #000; padding: 2mm 3mm; margin: 2mm 0 3mm; font-weight: bold }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5mm 4mm; margin: 0 } dd { margin: 0 }
dt { font-weight: bold } dd, code, .words li { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace }
dd { font-size: 9.5pt; overflow-wrap: anywhere }
.secret { display: flex; gap: 5mm; align-items: flex-start }
.words { flex: 1; columns: 3; column-gap: 2mm; margin: 1mm 0 0; padding: 0 0 0 8mm; font-size: 11pt;
  line-height: 1.75 }
.secret div { width: 54mm; flex: none; text-align: center; font-size: 9pt } svg { display: block }
ol, ul { margin: 0; padding-left: 6mm } .steps li, .cautions li { margin-bottom: .8mm }
.line { border-bottom: .2mm solid #000; display: inline-block; width: 60mm }
.codes { break-before: page; page-break-before: always } .codes p { margin: 0 0 2mm; font-size: 9pt }
.codes div { display: grid; grid-template-columns: 1fr 1fr; gap: 4mm 6mm }
figure { margin: 0; break-inside: avoid; border: .2mm solid #000; padding: 1mm 2mm 2mm } figure svg { width: 64mm;
  margin: 0 auto } figcaption { font-size: 9pt } figcaption code { display: block; font-size: 5.6pt; line-height: 1.3 }
@media screen { body { padding: 8mm 4mm } .codes { margin-top: 12mm } }
"""
_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>meroid</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<style>{style}</style></head><body>
<h1><small>meroid</small>{title}</h1>
<p class="warning">{warning}</p>
<dl>{facts}<dt>Name</dt><dd><span class="line"></span></dd></dl>
<h2>The words</h2>
<div class="secret"><ol class="words">{words}</ol><div>{qr}the same words, for a camera</div></div>
<h2>To get the account back</h2>
<ol class="steps">{steps}</ol>
<h2>To keep it safe</h2>
<ul class="cautions">{cautions}</ul>
{codes}</body></html>
"""
