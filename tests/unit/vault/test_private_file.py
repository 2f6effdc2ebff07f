"""Private files: whole or not at all, never over another."""

import errno
import os
import stat
from pathlib import Path

import pytest
from tests.interruption import kills

from meroid.keys.signer import Secret
from meroid.vault import private_file
from meroid.vault.private_file import FileTakenError, FileUnwritableError, destroy, write_private


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of making a file: with the system's help, and without."""
    if request.param == "named":
        monkeypatch.setattr(private_file, "_NAMELESS", 0)
    return str(request.param)


@pytest.mark.parametrize("content", [b"", b"text", bytes(200_000)])
def test_a_file_is_for_its_owner_alone(tmp_path: Path, way: str, content: bytes) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "new", Secret(content))
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == content
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_strict_umask_does_not_matter_to_the_owner(tmp_path: Path, way: str) -> None:
    before = os.umask(0o077)
    try:
        write_private(tmp_path / "new", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_what_is_there_is_never_touched(tmp_path: Path, way: str, kind: str) -> None:
    path = tmp_path / "there"
    if kind == "file":
        path.write_bytes(b"before")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "target")
        if kind == "link":
            (tmp_path / "target").write_bytes(b"before")
    with pytest.raises(FileTakenError) as caught:
        write_private(path, b"after")
    assert caught.value.code == "file_taken"
    assert not (tmp_path / "target").exists() or (tmp_path / "target").read_bytes() == b"before"
    assert kind != "file" or path.read_bytes() == b"before"


@pytest.mark.parametrize("place", ["absent/new", "file/new", "x" * 300])
def test_a_place_where_nothing_can_be_made_is_refused(tmp_path: Path, way: str, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileUnwritableError) as caught:
        write_private(tmp_path / place, b"a secret")
    assert caught.value.code == "file_unwritable"
    assert "a secret" not in caught.value.reason


def test_a_full_disk_leaves_nothing(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileUnwritableError):
        write_private(tmp_path / "new", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not private_file._NAMELESS, reason="this system names files when it makes them")
def test_a_write_that_is_killed_leaves_the_whole_file_or_nothing(tmp_path: Path) -> None:
    def prepare() -> None:
        (tmp_path / "new").unlink(missing_ok=True)

    for _ in kills(prepare, lambda: write_private(tmp_path / "new", b"whole"), [Path(private_file.__file__)]):
        left = list(tmp_path.iterdir())
        assert left == [] or left[0].read_bytes() == b"whole"
        assert len(left) < 2


def test_a_destroyed_file_is_overwritten_before_it_goes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"secret")
    with (tmp_path / "file").open("rb") as still_open:
        destroy(tmp_path / "file")
        assert still_open.read() == bytes(6)
    assert list(tmp_path.iterdir()) == []
    destroy(tmp_path / "file")


def test_another_name_of_a_destroyed_file_keeps_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"secret")
    os.link(tmp_path / "file", tmp_path / "other")
    destroy(tmp_path / "file")
    assert (tmp_path / "other").read_bytes() == b"secret"


def test_a_link_is_not_followed_when_a_file_is_destroyed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"innocent")
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError, match="link"):
        destroy(tmp_path / "link")
    assert (tmp_path / "target").read_bytes() == b"innocent"
