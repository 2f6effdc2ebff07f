"""Loaded by each process of `merod` and `meroctl` that a test starts: notes every secret that it makes.

`tests/told_secrets.py` puts this folder on the path of those processes, and nothing of meroid knows of it. A note is a
line in a private file of the test run, one file for each process: what the secret is, and its bytes in hex.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

FOLDER: Final = os.environ.get("MEROID_TEST_SECRETS")
SHORTEST: Final = 8
"""Bytes; what is shorter can't be told from anything else."""

_noted: set[bytes] = set()
_making = threading.local()


def note(raw: bytes, kind: str = "secret") -> None:
    """Write a secret down, once."""
    if FOLDER is None or len(raw) < SHORTEST or raw in _noted:
        return
    _noted.add(raw)
    path = os.path.join(FOLDER, f"{os.getpid()}.secrets")  # noqa: PTH118 - pathlib costs each process its loading
    with contextlib.suppress(OSError):  # a test limits what its process may write
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with contextlib.closing(os.fdopen(descriptor, "wb", buffering=0)) as file:
            file.write(f"{kind} {raw.hex()}\n".encode())


def _watch_secret(module: Any, name: str) -> None:
    kind = getattr(module, name)
    original = kind.__init__

    def noting(self: Any, raw: bytes | bytearray) -> None:
        original(self, raw)
        note(bytes(raw), getattr(_making, "kind", "secret"))

    kind.__init__ = noting


def _watch_tokens(module: Any) -> None:
    original = module.SigningKey.sign

    def noting(self: Any, payload: bytes, **named: Any) -> str:
        token: str = original(self, payload, **named)
        if not named:  # what has another type, such as the feed of revocations, is published
            note(token.encode())
        return token

    module.SigningKey.sign = noting


def _watch_login_codes(module: Any) -> None:
    """A log-in link is shown by design, as an invitation is; so its code is noted as one."""

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any) -> Any:
            _making.kind = "invitation"
            try:
                return original(*given)
            finally:
                del _making.kind

        return noting

    for name in ("new_login_code", "parse_login_code"):
        setattr(module, name, watched(getattr(module, name)))


def _watch_invitations(module: Any) -> None:
    original = module.invitation_secret

    def noting(salt: bytes) -> Any:
        note(salt, "invitation")
        return original(salt)

    module.invitation_secret = noting


_WATCHED: Final[dict[str, Callable[[Any], None]]] = {
    "meroid.keys.signer": lambda module: _watch_secret(module, "Secret"),
    "meroid.vault.locked_memory": lambda module: _watch_secret(module, "LockedSecret"),
    "meroid.auth.jws": _watch_tokens,
    "meroid.auth.login_code": _watch_login_codes,
    "meroid.service.invitations": _watch_invitations,
}


class _Watching(Loader):
    """Loads a module as ever, and then watches what makes secrets in it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _WATCHED[module.__name__](module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in _WATCHED else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Watching(spec.loader)
        return spec


if FOLDER is not None:
    sys.meta_path.insert(0, _Finder())
