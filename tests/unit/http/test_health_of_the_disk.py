"""Health tells the truth about a store that can be read and not written: on a disk that is really full."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.served_node import ServedNode, network, served_node

from meroid.store import StoreFailedError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    at = tmp_path / "disk"
    at.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(at)], check=False, capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=False)  # whoever still has a file open keeps it


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)


def storage(node: ServedNode) -> tuple[bool, int]:
    told = node.server.ask("GET", "/auth/health").json["data"]["storage"]
    return told, node.server.ask("GET", "/health/ready").status


def test_a_full_disk_is_told_and_so_is_its_end(disk: Path) -> None:
    with ExitStack() as stack:
        node = stack.enter_context(served_node(disk, stack.enter_context(network()), mode="embedded"))
        assert storage(node) == (True, 200)
        filling = disk / "filling"
        with pytest.raises(OSError, match="space"):
            fill(filling)
        commits = node.node.store.commits
        with pytest.raises(StoreFailedError):
            node.node.store.write(lambda tx: tx.auth.put_setting("large", "x" * 4_000_000))
        assert storage(node) == (False, 503)
        assert storage(node) == (False, 503)
        assert node.node.store.commits == commits
        filling.unlink()
        assert storage(node) == (True, 200)
        assert storage(node) == (True, 200)
        assert node.node.store.commits == commits + 1, "it writes once, to see that it can again"
