"""The sheet as PDF: printed, looked at by a camera, and read back."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from meroid.account.seed import Seed
from meroid.account.sheet import Share, Sheet, join_codes, list_codes
from meroid.ids import AccountId
from meroid.keys.signer import Secret
from meroid.vault.private_file import write_private
from meroid.vault.sheet_pdf import Paper, PaperNotInstalledError, render_pdf

SEED = Seed(Secret(bytes(range(32))))
ACCOUNT = AccountId(bytes(range(1, 33)))
LIST = bytes(number % 251 for number in range(3000))
SHEET = Sheet(account_id=ACCOUNT, words=SEED.words(), made_at=1_795_500_000_000, codes=list_codes(LIST))


def test_a_pdf_has_a_page_for_the_words_and_one_for_four_codes() -> None:
    pdf = render_pdf(SHEET).reveal()
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 3


def test_the_same_sheet_gives_the_same_bytes() -> None:
    assert render_pdf(SHEET).reveal() == render_pdf(SHEET).reveal()


@pytest.mark.needs("poppler")
@pytest.mark.parametrize(("paper", "size"), [("a4", "(A4)"), ("letter", "(letter)")])
def test_the_text_is_complete_on_each_paper(tmp_path: Path, paper: Paper, size: str) -> None:
    write_private(tmp_path / "sheet.pdf", render_pdf(SHEET, paper))
    said = subprocess.run(
        ["pdfinfo", tmp_path / "sheet.pdf"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert size in said
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "sheet.pdf", "-"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for _, word in SHEET.numbered_words():
        assert word in text
    assert str(SHEET.account_id) in text
    assert "2026-11-24" in text
    assert SHEET.cautions()[-1].split()[-1] in text


@pytest.mark.needs("poppler", "zbar")
@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_a_camera_reads_the_words_and_the_list_from_paper(tmp_path: Path, paper: Paper) -> None:
    write_private(tmp_path / "sheet.pdf", render_pdf(SHEET, paper))
    subprocess.run(
        ["pdftoppm", "-r", "150", "-gray", "-png", tmp_path / "sheet.pdf", tmp_path / "page"], check=True, timeout=60
    )
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", *sorted(tmp_path.glob("page*.png"))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    codes = [line for line in read if line.startswith("MEROID1/")]
    assert join_codes(codes) == LIST
    assert SEED.words().reveal().decode() in read


def test_a_share_of_33_words_fits() -> None:
    share = Sheet(
        account_id=ACCOUNT,
        words=Secret(" ".join(["academic"] * 33).encode()),
        made_at=0,
        share=Share(number=1, count=3, threshold=2),
    )
    assert len(re.findall(rb"/Type /Page\b", render_pdf(share, "letter").reveal())) == 1


def test_a_missing_library_says_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab.pdfgen.canvas", None)
    with pytest.raises(PaperNotInstalledError) as caught:
        render_pdf(SHEET)
    assert caught.value.code == "paper_not_installed"
    assert "meroid[paper]" in caught.value.next_step
