"""What was found out about tokens, kept while there is room."""

import hashlib
import threading
from collections import OrderedDict
from typing import Final, Generic, TypeVar

T = TypeVar("T")

REMEMBERED_TOKENS: Final = 4096


class Remembered(Generic[T]):
    """A bounded memory by token; what wasn't asked for longest goes first. For any thread.

    Its keys are SHA-256 of the tokens, so what is here opens nothing. Put in what is about tokens whose signature
    held, nothing else: whoever can make up its content can empty it.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._known: OrderedDict[bytes, T] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, digest: bytes) -> T | None:
        """What is known under a digest."""
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                self._known.move_to_end(digest)
            return known

    def put(self, digest: bytes, known: T) -> None:
        """Remember, in place of what was known."""
        with self._lock:
            self._known[digest] = known
            self._known.move_to_end(digest)
            if len(self._known) > self._room:
                self._known.popitem(last=False)


def digest_of(token: str) -> bytes:
    """The key of a token; any text has one."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
