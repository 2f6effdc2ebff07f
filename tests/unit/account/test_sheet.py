"""The printable sheet: its codes, its date, its page."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
import segno
from hypothesis import given, strategies as st

from meroid.account.seed import Seed
from meroid.account.sheet import (
    CODE_BYTES,
    CODES,
    Share,
    Sheet,
    SheetCodeDamagedError,
    SheetCodesMixedError,
    SheetIncompleteError,
    SheetTooLongError,
    date_of,
    grouped,
    join_codes,
    list_codes,
    qr_rows,
    render_html,
)
from meroid.ids import AccountId
from meroid.keys.signer import Secret

SEED = Seed(Secret(bytes(range(32))))
ACCOUNT = AccountId(bytes(range(1, 33)))
LIST = bytes(number % 251 for number in range(2000))
DAY = 86_400_000


def sheet(**other: object) -> Sheet:
    fields: dict[str, object] = {
        "account_id": ACCOUNT,
        "words": SEED.words(),
        "made_at": 1_795_500_000_000,
        "codes": list_codes(LIST),
    }
    return Sheet(**{**fields, **other})  # type: ignore[arg-type]


@given(st.binary(max_size=4 * CODE_BYTES), st.randoms())
def test_codes_join_to_the_list_in_any_order(encrypted: bytes, random: object) -> None:
    codes = list(list_codes(encrypted))
    random.shuffle(codes)  # type: ignore[attr-defined]
    if encrypted:
        assert join_codes(codes) == encrypted
    else:
        assert codes == []


def test_what_a_person_types_is_understood() -> None:
    codes = list_codes(LIST)
    assert join_codes(grouped(code).lower() for code in codes) == LIST
    assert join_codes("\n".join(re.findall(".{1,40}", code)) for code in codes) == LIST
    assert join_codes([*codes, codes[0]]) == LIST


def test_a_code_is_small_enough_for_a_camera() -> None:
    for code in list_codes(bytes(CODE_BYTES) * 20):
        made = segno.make_qr(code, error="m")
        assert made.mode == "alphanumeric"
        assert isinstance(made.version, int)
        assert made.version <= 20


def test_the_form_of_a_code_never_changes() -> None:
    assert list_codes(b"the encrypted list") == ("MEROID1/1/1/EONPCF5A/ORUGKIDFNZRXE6LQORSWIIDMNFZXI/5ACN",)


@given(st.data())
def test_one_wrong_character_is_found_and_its_code_named(data: st.DataObject) -> None:
    codes = list(list_codes(LIST))
    place = data.draw(st.integers(0, len(codes) - 1))
    at = data.draw(st.integers(0, len(codes[place]) - 1))
    wrong = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567/189"))
    if wrong == codes[place][at]:
        return
    codes[place] = codes[place][:at] + wrong + codes[place][at + 1 :]
    with pytest.raises(SheetCodeDamagedError) as caught:
        join_codes(codes)
    assert f"code {place + 1} " in caught.value.reason


@given(st.text(max_size=200) | st.text(alphabet="MEROID1/234567AB ", max_size=80))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(SheetCodeDamagedError):
        join_codes([text])


def test_a_cut_sheet_names_what_is_missing() -> None:
    codes = list_codes(LIST)
    with pytest.raises(SheetIncompleteError) as caught:
        join_codes([codes[0], codes[3]])
    assert caught.value.code == "sheet_incomplete"
    assert caught.value.reason.endswith("2, 3")
    with pytest.raises(SheetIncompleteError):
        join_codes([])


def test_codes_of_two_sheets_are_not_mixed() -> None:
    other = list_codes(LIST[:-1] + b"x")
    with pytest.raises(SheetCodesMixedError) as caught:
        join_codes([*list_codes(LIST)[:2], *other[2:]])
    assert caught.value.code == "sheet_codes_mixed"


def test_a_list_that_is_too_long_is_refused() -> None:
    assert len(list_codes(bytes(CODES * CODE_BYTES))) == CODES
    with pytest.raises(SheetTooLongError) as caught:
        list_codes(bytes(CODES * CODE_BYTES + 1))
    assert caught.value.code == "sheet_too_long"


@given(st.integers(0, 200_000))
def test_the_date_is_the_calendars(days: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    for at in (days * DAY, (days + 1) * DAY - 1):
        assert date_of(at) == expected.date().isoformat()


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def read(page: Secret) -> Reader:
    reader = Reader()
    reader.feed(page.reveal().decode())
    return reader


def test_the_page_shows_words_account_date_and_all_codes() -> None:
    reader = read(render_html(sheet()))
    words = SEED.words().reveal().decode().split()
    start = reader.texts.index(words[0])
    assert reader.texts[start : start + 24] == words
    assert str(ACCOUNT) in reader.texts
    assert "2026-11-24 (UTC)" in reader.texts
    for code in list_codes(LIST):
        assert grouped(code) in reader.texts
    assert reader.tags.count("svg") == 1 + len(list_codes(LIST))


def test_the_page_loads_and_runs_nothing() -> None:
    page = render_html(sheet())
    reader = read(page)
    assert not {"script", "a", "img", "link", "iframe", "object", "form", "base"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name in {"src", "href", "style"} or name.startswith("on")]
    assert b"default-src 'none'" in page.reveal()
    assert b"url(" not in page.reveal()
    assert b"http://" not in page.reveal()
    assert b"https://" not in page.reveal()


def test_the_codes_on_the_page_are_those_of_the_words_and_the_list() -> None:
    page = render_html(sheet()).reveal().decode()
    drawn = re.findall(r'<svg viewBox="0 0 (\d+) \d+".*?<path d="([^"]*)"', page)
    expected = [SEED.words().reveal().decode(), *list_codes(LIST)]
    for (size, path), text in zip(drawn, expected, strict=True):
        black = {
            (int(x) - 4 + step, int(y) - 4)
            for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1H\d+z", path)
            for step in range(int(length))
        }
        rows = qr_rows(text)
        assert int(size) == len(rows) + 8
        assert black == {(x, y) for y, row in enumerate(rows) for x, module in enumerate(row) if module}


def test_a_share_says_which_it_is_and_how_many_are_needed() -> None:
    words = Secret(" ".join(["academic"] * 33).encode())
    reader = read(render_html(sheet(words=words, share=Share(number=2, count=5, threshold=3), codes=())))
    text = " ".join(reader.texts)
    assert "share 2 of 5" in text
    assert "Any 3 of the 5 shares" in text
    assert "none on this sheet" in text
    assert reader.texts.count("academic") == 33


@pytest.mark.parametrize("words", ["", "Upper case", "two  spaces", "<script>", "é", "a&b", "line\nbreak"])
def test_words_that_are_none_never_come_onto_a_sheet(words: str) -> None:
    with pytest.raises(ValueError, match="lower-case") as caught:
        sheet(words=Secret(words.encode()))
    assert words == "" or words not in str(caught.value)


def test_a_sheet_shows_no_words_outside_of_its_page() -> None:
    first = SEED.words().reveal().decode().split()[0]
    assert first not in repr(sheet())
    assert first not in repr(render_html(sheet()))


def test_the_same_sheet_gives_the_same_page() -> None:
    assert render_html(sheet()).reveal() == render_html(sheet()).reveal()
