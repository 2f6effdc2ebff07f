"""Configuration of the engine: peers over TCP, gossip on, nothing of the machine reachable from outside."""

import hashlib
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import zenoh

from meroid.sync.endpoints import Endpoint
from meroid.sync.limits import FRAME_BYTES, LEASE_MS, STALL_SECONDS

# In microseconds. Publications block and then the link is given up; questions and answers are given up
# themselves, when nothing moves for a second or a page takes longer than a slow line would need.
_CONGESTION = {
    "block": {"wait_before_close": STALL_SECONDS.value * 1_000_000},
    "drop": {"wait_before_drop": 1_000_000, "max_wait_before_drop_fragments": 30_000_000},
}


def session_config(
    listen: Sequence[Endpoint], connect: Sequence[Endpoint], *, local_discovery: str | None
) -> zenoh.Config:
    """Configuration of one session; the place where transport security enters."""
    wanted = {
        "mode": "peer",
        "listen": {"endpoints": [str(endpoint) for endpoint in listen], "exit_on_failure": True},
        "connect": {
            "endpoints": [str(endpoint) for endpoint in connect],
            "timeout_ms": -1,
            "exit_on_failure": False,
            "retry": {"period_init_ms": 50, "period_max_ms": 4000, "period_increase_factor": 2},
        },
        "open": {"return_conditions": {"connect_scouted": False, "declares": False}},
        "scouting": {"multicast": _multicast(local_discovery), "gossip": {"enabled": True}},
        "adminspace": {"enabled": False},
        "transport": {
            "shared_memory": {"enabled": False},
            "link": {
                "protocols": ["tcp"],
                "rx": {"max_message_size": FRAME_BYTES.value},
                "tx": {"lease": LEASE_MS.value, "queue": {"congestion_control": _CONGESTION}},
            },
        },
    }
    return zenoh.Config.from_json5(json.dumps(wanted))


def _multicast(namespace: str | None) -> Mapping[str, Any]:
    """Scouting on this machine only, in a group of the namespace's own.

    The namespace decides who is found, not who may talk: an invitation leads to nodes that call
    their neighbourhood by another name.
    """
    if namespace is None:
        return {"enabled": False}
    digest = hashlib.blake2b(namespace.encode(), digest_size=8, person=b"meroid/local/v1").digest()
    group = ".".join(str(byte) for byte in (239, *digest[:3]))
    port = 20_000 + int.from_bytes(digest[3:]) % 10_000
    return {"enabled": True, "address": f"{group}:{port}", "interface": _loopback_interface(), "ttl": 0}


def _loopback_interface() -> str:
    names = {name for _, name in socket.if_nameindex()}
    return next((name for name in ("lo", "lo0") if name in names), "auto")
