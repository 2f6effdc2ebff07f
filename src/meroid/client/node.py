"""A node over HTTP: transport and authorisation put together; answers come back as decoded JSON."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any, Final, TypeVar

from meroid.client.address import NodeAddress
from meroid.client.exchange import Request, Response, check_status, decode_json, json_request
from meroid.client.flow import Load, Renew, Save, Send, Step, authorised, renewed
from meroid.client.proof_key import ProofKeyFile
from meroid.client.tokens import TokenPair, TokenStore, claims_of
from meroid.client.transport import ANSWER_BYTES, DEFAULT_TIMEOUT_S, HttpTransport
from meroid.clock import Clock, SystemClock
from meroid.errors import MeroidError
from meroid.limits import Limit

Result = TypeVar("Result")

_LOG_IN: Final = "auth/token"
_REFRESH: Final = "auth/refresh"


class NodeClient:
    """Requests to one node. Threads may share it; it never prompts and never prints.

    Paths are below the base address, without a leading slash, already percent-encoded. Every method raises the
    errors of `meroid.client.failures`.
    """

    def __init__(
        self,
        api_url: str,
        *,
        tokens: TokenStore | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        clock: Clock | None = None,
        proof_key: ProofKeyFile | None = None,
    ) -> None:
        """`proof_key`: the key of tokens that are bound to one; requests with such tokens are sent with its proofs."""
        self.address = NodeAddress.parse(api_url)
        self._transport = HttpTransport(self.address, timeout_s=timeout_s)
        self._tokens = tokens
        self._clock = clock or SystemClock()
        self._proof_key = proof_key
        self._binds = False

    def bind_log_ins(self) -> None:
        """Bind the tokens of log-ins from now on to the key, which is made where there is none.

        Raises:
            BadClientFileError: it can't be read or written.
        """
        if self._proof_key is not None:
            self._binds = self._proof_key.ensure() is not None

    def get(self, path: str) -> object:
        """The JSON that a GET answers."""
        return decode_json(self.exchange(Request(method="GET", path=path)))

    def post(self, path: str, body: object = None) -> object:
        """The JSON that a POST answers; without a body, `null` is sent."""
        return decode_json(self.exchange(json_request("POST", path, body)))

    def delete(self, path: str) -> object:
        """The JSON that a DELETE answers."""
        return decode_json(self.exchange(Request(method="DELETE", path=path)))

    def put(self, path: str, data: bytes) -> object:
        """The JSON that a PUT of raw bytes answers."""
        return decode_json(self.exchange(Request(method="PUT", path=path, body=data)))

    def put_json(self, path: str, body: object) -> object:
        """The JSON that a PUT of JSON answers."""
        return decode_json(self.exchange(json_request("PUT", path, body)))

    def get_bytes(self, path: str, *, limit: Limit) -> bytes:
        """The raw body that a GET answers."""
        response = self.exchange(Request(method="GET", path=path), limit=limit)
        check_status(response)
        return response.body

    def exchange(self, request: Request, *, limit: Limit = ANSWER_BYTES) -> Response:
        """Send a request with the kept tokens and give the answer, whatever its status."""
        return self._run(authorised(request, at_ms=self._clock.now_ms()), limit)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _run(self, flow: Generator[Step, Any, Result], limit: Limit) -> Result:
        try:
            step = next(flow)
            while True:
                try:
                    done = self._perform(step, limit)
                except MeroidError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(done)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    def _proven(self, request: Request) -> Request:
        """The request with a proof, if what it sends is bound to the key, or is to be."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        bound = scheme == "Bearer" and "cnf" in claims_of(token)
        asks = request.path == _REFRESH or (self._binds and request.path == _LOG_IN)
        key = self._proof_key.load() if self._proof_key is not None and (bound or asks) else None
        if key is None:
            return request
        url = f"{self.address.origin}{self.address.prefix}/{request.path}"
        proof = key.prove(request.method, url, self._clock.now_ms(), token=token or None)
        return replace(request, headers={**request.headers, "DPoP": proof})

    def _perform(self, step: Step, limit: Limit) -> Response | TokenPair | None:
        match step:
            case Send():
                return self._transport.send(self._proven(step.request), limit=limit)
            case Load():
                return self._tokens.load() if self._tokens is not None else None
            case Save():
                if self._tokens is not None:
                    self._tokens.save(step.tokens)
                return None
            case Renew():
                if self._tokens is None:
                    return step.seen
                with self._tokens.exclusive():
                    return self._run(renewed(step.seen), ANSWER_BYTES)
