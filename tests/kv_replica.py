"""One replica of the sample application: a state, and calls that keep what they wrote."""

import hashlib
import json
from typing import Any

from tests.kv_store import kv_store_bytecode

from meroid.ids import BlobId, ContextId
from meroid.keys.public import PublicKey
from meroid.runtime.wasm import WasmRuntime
from meroid.service.ports.runtime import Invocation, Outcome

CONTEXT = ContextId(b"c" * 32)
RUNTIME = WasmRuntime()
_ERROR = "the method call returned an error: "


class Replica:
    """State of the application as one node has it; `root` is that of the last commit."""

    def __init__(self, author: int = 1, *, runtime: WasmRuntime = RUNTIME) -> None:
        self.executor = PublicKey(bytes([author]) * 32)
        self.state: dict[bytes, bytes] = {}
        self.root: bytes | None = None
        self.reads = 0
        self._runtime = runtime
        self._blob_id = BlobId(hashlib.sha256(kv_store_bytecode()).digest())

    def raw(self, method: str, input_: bytes) -> Outcome:
        """Call with bytes; a successful call changes the state."""
        call = Invocation(method=method, input=input_, context_id=CONTEXT, executor=self.executor, at=0)
        outcome = self._runtime.run(self._blob_id, kv_store_bytecode, call, self._read)
        for key, value in outcome.writes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.root = outcome.root_hash or self.root
        return outcome

    def call(self, method: str, **arguments: Any) -> Outcome:
        return self.raw(method, json.dumps(arguments).encode())

    def value(self, method: str, **arguments: Any) -> Any:
        """The answer of a call that must succeed."""
        outcome = self.call(method, **arguments)
        assert outcome.failure is None, outcome.failure
        return None if outcome.returned is None else json.loads(outcome.returned)

    def merge(self, artifact: bytes) -> Outcome:
        return self.raw("__calimero_sync_next", artifact)

    def _read(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.state.get(key)


def artifact(outcome: Outcome) -> bytes:
    """What a call that must have committed gives the others."""
    assert outcome.failure is None, outcome.failure
    assert outcome.artifact is not None
    return outcome.artifact


def error_value(outcome: Outcome) -> Any:
    """The JSON of an error value."""
    assert outcome.failure is not None
    assert outcome.failure.startswith(_ERROR), outcome.failure
    return json.loads(bytes(json.loads(outcome.failure.removeprefix(_ERROR))))
