"""A NEAR JSON-RPC endpoint on 127.0.0.1 that answers `query`/`view_access_key` as NEAR nodes do, or misbehaves."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_BLOCK = {"block_height": 187310138, "block_hash": "FBmhNfCPWbxg9Vg7Bxs6vxfkRs6Q3WcSM3yrFgM8iKne"}
FULL_ACCESS = "FullAccess"
FUNCTION_CALL = {
    "FunctionCall": {"allowance": "250000000000000000000000", "receiver_id": "app.testnet", "method_names": []}
}


@dataclass
class NearChain:
    """Access keys by account and key text; `fault` makes the endpoint misbehave."""

    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fault: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, question: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        self.asked.append(question)
        params = question["params"]
        plain: dict[str, tuple[int, dict[str, str], bytes]] = {
            "rate-limited": (429, {"Retry-After": "7"}, b""),
            "rate-limited without a time": (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""),
            "broken": (500, {}, b"<html>oops</html>"),
            "no JSON": (200, {}, b"not json"),
            "nested": (200, {}, b"[" * 50_000),
            "huge": (200, {}, b'{"result": "' + b"x" * 1_000_000 + b'"}'),
            "redirect": (302, {"Location": "http://127.0.0.1:1/"}, b""),
            "another shape": (200, {}, b'{"result": {"permission": "Everything"}}'),
            "server error": (200, {}, json.dumps(_fault(question, "TIMEOUT_ERROR")).encode()),
        }
        if self.fault in plain:
            return plain[self.fault]
        held = self.keys.get(params["account_id"])
        if held is None:
            return 200, {}, json.dumps(_fault(question, "UNKNOWN_ACCOUNT")).encode()
        permission = held.get(params["public_key"])
        if permission is None and self.fault == "newer nodes":
            return 400, {}, json.dumps(_fault(question, "UNKNOWN_ACCESS_KEY")).encode()
        if permission is None:
            error = f"access key {params['public_key']} does not exist while viewing"
            return 200, {}, json.dumps(_result(question, {"error": error, "logs": []})).encode()
        return 200, {}, json.dumps(_result(question, {"nonce": 85, "permission": permission})).encode()


def _result(question: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": question["id"], "result": {**value, **_BLOCK}}


def _fault(question: dict[str, Any], name: str) -> dict[str, Any]:
    cause = {"name": name, "info": {"requested_account_id": "x", **_BLOCK}}
    error = {"name": "HANDLER_ERROR", "cause": cause, "code": -32000, "message": "Server error", "data": "it failed"}
    return {"jsonrpc": "2.0", "id": question["id"], "error": error}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, chain: NearChain) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.chain = chain
        self.ended = threading.Event()

    def handle_error(self, *_: object) -> None:
        pass  # clients that give up are part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        chain = self.server.chain
        status, headers, body = chain.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if chain.fault == "slow":
            self.server.ended.wait(30)
            return
        if chain.fault == "closed":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        pieces = [body[i : i + 1] for i in range(len(body))] if chain.fault == "dripping" else [body]
        with contextlib.suppress(OSError):
            for piece in pieces:
                self.wfile.write(piece)
                if len(pieces) > 1 and self.server.ended.wait(0.1):
                    return

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def near_chain(keys: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[NearChain]:
    """Serve a chain until the block ends; faults `slow` and `dripping` hold the answer back, `closed` gives none."""
    chain = NearChain(keys or {})
    server = _Server(chain)
    chain.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="near-chain")
    thread.start()
    try:
        yield chain
    finally:
        server.ended.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
