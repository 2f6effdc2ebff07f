"""Whole nodes in this process, on real stores and the real runtime, over a simulated network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kv_store import kv_store_bytecode
from tests.simulators.transport import Network

from meroid.access.principal import Principal
from meroid.app import Node, RunningNode, initialise_node
from meroid.config import Settings
from meroid.ids import ApplicationId, ContextId
from meroid.keys.public import PublicKey
from meroid.service.contexts import Founding
from meroid.service.execution import Call
from meroid.service.feed import Happening
from meroid.service.ports.transport import Transport


class World:
    """A network and the nodes on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = Network()
        self.network.start()
        self.nodes: list[Machine] = []

    def machine(self, name: str) -> Machine:
        machine = Machine(name, self.folder, self.network.transport(name))
        machine.running.start()
        self.nodes.append(machine)
        return machine

    def restart(self, machine: Machine) -> Machine:
        machine.close()
        again = Machine(machine.node.settings.name, self.folder, self.network.transport(machine.node.settings.name))
        again.running.start()
        self.nodes[self.nodes.index(machine)] = again
        return again

    def close(self) -> None:
        for machine in self.nodes:
            machine.close()
        self.network.stop()


class Machine:
    """One node; speaks to its services directly, as its own account."""

    def __init__(self, name: str, folder: Path, transport: Transport) -> None:
        settings = Settings(
            home=folder / name, name=name, auth_mode="proxy", listen=(("127.0.0.1", 0),), swarm=(("127.0.0.1", 0),)
        )
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.node: Node = initialise_node(settings)
        account = self.node.prepare()
        self.running = RunningNode(self.node, account, transport)
        self.me = Principal.node(account)
        self.heard: list[Happening] = []
        self.running.feed.listen(self.heard.append)

    @property
    def at(self) -> int:
        return self.node.clock.now_ms()

    def install(self) -> ApplicationId:
        record = self.running.applications.install(kv_store_bytecode(), source="file:///", metadata=b"", at=self.at)
        return record.application_id

    def create(self, application_id: ApplicationId) -> tuple[ContextId, PublicKey]:
        founding = Founding(application_id=application_id, protocol="near", seed=None, parameters=b"")
        return self.running.contexts.create(self.me, founding, self.at)

    def identity(self) -> PublicKey:
        return self.running.contexts.generate_identity(self.me, self.at)

    def invite_and_join(self, other: Machine, context_id: ContextId, inviter: PublicKey) -> PublicKey:
        key = other.identity()
        ticket = self.running.joining.invite(self.me, context_id, inviter, key, self.at)
        other.running.joining.join(other.me, ticket, key, salt=None, at=other.at)
        return key

    def call(self, context_id: ContextId, executor: PublicKey, method: str, **arguments: object) -> Any:
        call = Call(context_id=context_id, method=method, arguments=json.dumps(arguments).encode(), executor=executor)
        output = self.running.execution.execute(self.me, call, self.at)
        return None if output is None else json.loads(output)

    def root(self, context_id: ContextId) -> bytes:
        return self.running.contexts.get(self.me, context_id).root_hash

    def close(self) -> None:
        self.running.close()
        self.node.close()


def eventually(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)
