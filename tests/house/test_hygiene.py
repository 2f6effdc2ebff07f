"""No file names a registry's host or a place on somebody's machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In parts, so that this file passes its own test.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
    )
]
HOST = re.compile(rb"(?<![\w-])(?:%s)\b" % "|".join(map(re.escape, HOSTS)).encode(), re.IGNORECASE)
PLACE = re.compile(rb"(?<![\w.\-/}*])/(?:work|root|opt|Users)/|(?<![\w.\-/}*])/home/[a-z]")


def files() -> list[Path]:
    """Every file that is tracked or would be: what git doesn't ignore."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    paths = (ROOT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def findings(pattern: re.Pattern[bytes]) -> list[str]:
    found = []
    for path in files():
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group().decode()}")
    return found


@pytest.mark.needs("git")
def test_no_file_names_a_registry_host() -> None:
    assert findings(HOST) == []


@pytest.mark.needs("git")
def test_no_file_names_a_place_on_a_machine() -> None:
    assert findings(PLACE) == []


@pytest.mark.parametrize("host", HOSTS)
def test_each_host_would_be_found(host: str) -> None:
    assert HOST.search(f"resolved: https://{host}/x".encode())


@pytest.mark.parametrize("parts", [("work", "main"), ("root", ".cache"), ("opt", "x"), ("home", "ann"), ("Users", "a")])
def test_each_place_would_be_found(parts: tuple[str, str]) -> None:
    place = "/" + "/".join(parts)

    assert PLACE.search(f'path = "{place}"'.encode())
    assert not PLACE.search(f"docs{place}".encode())
