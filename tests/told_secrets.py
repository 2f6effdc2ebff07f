"""A search, at the end of a test run, of all that its processes wrote for each secret that they made.

- `watched` is the environment of a process of `merod` or `meroctl`; `tests/recorder/sitecustomize.py` then notes what
  it makes: every `Secret` (seeds and words, store keys, private keys, set-up codes), tokens, secrets of invitations,
  codes of log-in links.
  What a test itself invents, such as a password, it notes by `note`.
- `wrote` keeps what a process wrote to a pipe, and `watch_log` names a file that one writes to. `tests/conftest.py` adds
  what pytest captured.
- `findings` searches. An invitation or a log-in link may stand in the standard output of `meroctl`, which shows it by design; so may
  nothing else anywhere. What a person sees on a terminal isn't searched: words and set-up code are shown there.

The workers of a run share one private folder, which is gone after the search.
"""

import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "MEROID_TEST_SECRETS"
RECORDER: Final = Path(__file__).parent / "recorder"
SHORTEST: Final = 8

_HEAD: Final = 8  # bytes of a form that are looked up first
_WORDS: Final = 4
_INVITATION: Final = b"invitation"


def begin() -> Path | None:
    """Make the folder, unless it is there: then another process of this test run searches it in the end."""
    if VARIABLE in os.environ:
        return None
    folder = Path(tempfile.mkdtemp(prefix="meroid-told-"))
    os.environ[VARIABLE] = str(folder)
    return folder


def end(folder: Path) -> list[str]:
    """Search, and remove the folder."""
    del os.environ[VARIABLE]
    try:
        return findings(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def watched(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that notes what it makes."""
    given = dict(os.environ if environment is None else environment)
    paths = [str(RECORDER), *filter(None, [given.get("PYTHONPATH")])]
    return {**given, VARIABLE: os.environ.get(VARIABLE, ""), "PYTHONPATH": os.pathsep.join(paths)}


def note(secret: str | bytes) -> None:
    """A secret that a test made up."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    if len(raw) >= SHORTEST:
        _put("secrets", f"secret {raw.hex()}\n".encode())


def wrote(who: str, output: str | bytes, *, may_show_invitations: bool = False) -> None:
    """What a process wrote."""
    data = output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output
    if data.strip():
        _put("shown" if may_show_invitations else "out", who.encode() + b"\n" + data)


def watch_log(path: Path) -> None:
    """A file that a process writes to until the end of the test run."""
    _put("log", str(path).encode())


def _put(suffix: str, data: bytes) -> None:
    folder = os.environ.get(VARIABLE)
    if folder:
        (Path(folder) / f"{secrets.token_hex(8)}.{suffix}").write_bytes(data)


def findings(folder: Path) -> list[str]:
    """Where a secret was written, in words that don't repeat it."""
    by_head: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for kind, raw in sorted(set(_secrets(folder))):
        for form in forms(raw):
            by_head.setdefault(form[:_HEAD], []).append((form, kind))
    found = []
    for who, output, shown in _outputs(folder):
        kinds = {kind.decode() for kind in _search(output, by_head) if not (shown and kind == _INVITATION)}
        found += [f"{who} shows a value of kind '{kind}' that must stay secret" for kind in sorted(kinds)]
    return sorted(set(found))


def forms(raw: bytes) -> set[bytes]:
    """How a secret may be written: as it is, in hex, base32, base64, as Python writes bytes; words also in parts."""
    found = {
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
        base64.b32encode(raw).rstrip(b"="),
        repr(raw)[2:-1].encode(),
        ", ".join(map(str, raw)).encode(),
    }
    words = raw.split(b" ")
    if len(words) > _WORDS and all(word.isalpha() for word in words):
        found |= {b" ".join(words[start : start + _WORDS]) for start in range(len(words) - _WORDS + 1)}
    return found


def _search(output: bytes, by_head: Mapping[bytes, list[tuple[bytes, bytes]]]) -> Iterator[bytes]:
    for start in range(len(output) - _HEAD + 1):
        for form, kind in by_head.get(output[start : start + _HEAD], ()):
            if output.startswith(form, start):
                yield kind


def _secrets(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    for path in folder.glob("*secrets"):
        whole, _, _ = path.read_bytes().rpartition(b"\n")  # the process may have been killed in a line
        for line in whole.splitlines():
            kind, _, text = line.partition(b" ")
            raw = bytes.fromhex(text.decode())
            if len(set(raw)) > 2:  # zeros and the like stand for no secret
                yield kind, raw


def _outputs(folder: Path) -> Iterator[tuple[str, bytes, bool]]:
    for log in {Path(path.read_text()) for path in folder.glob("*.log")}:
        if log.exists():
            yield f"the log {log.name}", log.read_bytes(), False
    for path in folder.iterdir():
        content = path.read_bytes()
        if path.suffix in {".out", ".shown"}:
            who, _, output = content.partition(b"\n")
            yield who.decode(), output, path.suffix == ".shown"
