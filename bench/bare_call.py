"""The bare parts of a call: what would be left of it without a node around it."""

import json
import os
from pathlib import Path

import nacl.bindings
import wasmtime
from bench.measure import Work, timed
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from tests.node_world import Machine

from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.runtime import limits
from meroid.runtime.wasm import WasmRuntime
from meroid.service.payload import DeltaPayload
from meroid.service.ports.content import ContextRecord
from meroid.service.ports.runtime import Invocation, Outcome
from meroid.service.projection import bytecode_loader
from meroid.store import contexts as context_sql, operations as operation_sql, state as state_sql
from meroid.store.driver import open_writer
from meroid.store.schema import bring_up_to_date
from meroid.store.session import Session
from meroid.store.transaction import SqlTransaction


class Bare:
    """The bare parts of a call, on what a real one computed."""

    def __init__(
        self,
        machine: Machine,
        context_id: ContextId,
        executor: PublicKey,
        method: str,
        given: dict[str, object],
        folder: Path,
    ) -> None:
        self._machine = machine
        self._context_id = context_id
        self._replica = machine.running.replicas.get(context_id)
        self._invocation = Invocation(
            method=method,
            input=json.dumps(given).encode(),
            context_id=context_id,
            executor=executor,
            at=machine.at,
        )
        self._runtime = WasmRuntime()
        self._folder = folder
        self._blob_id = self._replica.ledger.state.application.blob_id
        self._bytecode = machine.node.store.read(lambda tx: bytecode_loader(tx, self._blob_id)())
        self._reader = machine.node.store._readers.take()  # noqa: SLF001  # a bare connection
        self._asked: list[bytes] = []
        self._outcome = self._run()
        self._keys = tuple(self._asked)

    def works(self, calls: int) -> dict[str, Work]:
        """Each bare part; the run includes its instance and its reads."""
        works = {
            "bare instance": timed(self._instantiate, calls),
            "bare reads": timed(lambda: [self._read(key) for key in self._keys], calls),
            "bare run": timed(self._run, calls),
        }
        if self._outcome.artifact is not None:
            works |= {"bare sign": self._sign(calls), "bare encrypt": self._encrypt(calls)}
            works["bare commit"] = self._commit(calls)
        return works

    def _load(self) -> bytes:
        return self._bytecode

    def _read(self, key: bytes) -> bytes | None:
        row = self._reader.execute(state_sql._READ, (self._context_id, key)).fetchone()  # noqa: SLF001
        return None if row is None else row[0]

    def _instantiate(self) -> None:
        runtime = self._runtime  # its parts as they are used; the module is in the cache
        module = runtime._modules.get(self._blob_id, lambda: runtime._compile(runtime._known, self._bytecode))  # noqa: SLF001
        with wasmtime.Store(self._runtime._engine) as store:  # noqa: SLF001
            store.set_fuel(limits.FUEL.value)
            module.instances.instantiate(store)

    def _run(self) -> Outcome:
        def read(key: bytes) -> bytes | None:
            self._asked.append(key)
            return self._read(key)

        self._asked.clear()
        return self._runtime.run(self._blob_id, self._load, self._invocation, read)

    def _sign(self, calls: int) -> Work:
        _, private = nacl.bindings.crypto_sign_keypair()
        message = self._envelope()
        return timed(lambda: nacl.bindings.crypto_sign(message, private), calls)

    def _encrypt(self, calls: int) -> Work:
        artifact, root_hash = self._outcome.artifact or b"", self._outcome.root_hash or b""
        payload = DeltaPayload(artifact=artifact, events=self._outcome.events, root_hash=root_hash).encoded()
        cipher, associated = ChaCha20Poly1305(os.urandom(32)), os.urandom(110)
        return timed(lambda: cipher.encrypt(os.urandom(12), payload, associated), calls)

    def _commit(self, calls: int) -> Work:
        key = os.urandom(32).hex()
        path = self._folder / "bare.db"
        bring_up_to_date(path, key)
        connection = open_writer(path, key)
        record = ContextRecord(
            context_id=self._context_id,
            application_id=self._replica.ledger.state.application.application_id,
            protocol="near",
            root_hash=bytes(32),
            created_at=0,
        )
        SqlTransaction(Session(connection)).contexts.add(record)
        envelope = self._envelope()
        state = [(self._context_id, key, value) for key, value in self._outcome.writes.items()]

        def commit() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(operation_sql._APPEND, (os.urandom(32), self._context_id, envelope, 1, 0))  # noqa: SLF001
            connection.executemany(state_sql._SET, state)  # noqa: SLF001
            connection.execute(context_sql._SET_ROOT, (os.urandom(32), self._context_id))  # noqa: SLF001
            connection.execute("COMMIT")

        return timed(commit, calls)

    def _envelope(self) -> bytes:
        """The bytes of the last operation of the context, a delta of the sample store."""
        stored = self._machine.node.store.read(lambda tx: list(tx.operations.scan(self._context_id)))
        return stored[-1].envelope
