"""Access keys of NEAR accounts, asked for over JSON-RPC (`query`, `view_access_key`, finality `final`).

Every answer is bounded in time and size, and anything that isn't clearly an answer counts as none:
a log-in fails closed, and says that the endpoint is the reason.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx2

from meroid.auth.near_account import AccessKey, NearRateLimitedError, NearUnreachableError
from meroid.keys.nep413 import near_key_text
from meroid.keys.public import PublicKey

TIMEOUT_S: Final = 5.0
ANSWER_BYTES: Final = 64 * 1024
AT_ONCE: Final = 8

_TOO_MANY: Final = 429
_LONGEST_WAIT_S: Final = 3600
_MISSING: Final = frozenset({"UNKNOWN_ACCESS_KEY", "UNKNOWN_ACCOUNT", "INVALID_ACCOUNT"})
_MISSING_TEXT: Final = "does not exist"  # how nodes word an unknown key inside a result


class NearRpc:
    """The accounts of the network behind one endpoint; threads share it."""

    def __init__(self, endpoint: str, *, timeout_s: float = TIMEOUT_S, at_once: int = AT_ONCE) -> None:
        """`endpoint` is an http or https address; the environment's proxies are not used."""
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._free = threading.BoundedSemaphore(at_once)
        self._tls = httpx2.create_ssl_context() if endpoint.startswith("https:") else False

    def access_key(self, account_id: str, key: PublicKey) -> AccessKey:
        """What this key may do for that account at the last final block.

        Raises:
            NearUnreachableError: no answer in time, or none that can be understood.
            NearRateLimitedError: the endpoint asks to slow down, or too many questions are under way.
        """
        params = {
            "request_type": "view_access_key",
            "finality": "final",
            "account_id": account_id,
            "public_key": near_key_text(key),
        }
        with self._turn():
            body = asyncio.run(self._ask({"jsonrpc": "2.0", "id": "meroid", "method": "query", "params": params}))
        return _meaning(body)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._free.acquire(blocking=False):
            raise NearRateLimitedError("too many NEAR accounts are being looked up at once", retry_after_s=1)
        try:
            yield
        finally:
            self._free.release()

    async def _ask(self, question: dict[str, object]) -> bytes:
        """The body of the answer; on a connection of its own, so that the whole of it has one deadline."""
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx2.AsyncClient(verify=self._tls, timeout=None, trust_env=False) as client,
                client.stream("POST", self._endpoint, json=question) as response,
            ):
                if response.status_code == _TOO_MANY:
                    wait = _seconds(response.headers.get("retry-after", ""))
                    raise NearRateLimitedError("the NEAR endpoint asks to slow down", retry_after_s=wait)
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES:
                        raise NearUnreachableError("the NEAR endpoint's answer is too long")
                return body  # whatever the status: some nodes answer 4xx where the query found nothing
        except TimeoutError:
            raise NearUnreachableError("the NEAR endpoint doesn't answer in time") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            raise NearUnreachableError("the NEAR endpoint gives no answer") from None


def _meaning(body: bytes) -> AccessKey:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise NearUnreachableError("the NEAR endpoint's answer is no JSON") from None
    match answer:
        case {"result": {"permission": "FullAccess"}}:
            return AccessKey.FULL_ACCESS
        case {"result": {"permission": {"FunctionCall": _}}}:
            return AccessKey.FUNCTION_CALL
        case {"result": {"error": str() as error}} if _MISSING_TEXT in error:
            return AccessKey.UNKNOWN
        case {"error": {"cause": {"name": str() as name}}} if name in _MISSING:
            return AccessKey.UNKNOWN
        case _:
            raise NearUnreachableError("the NEAR endpoint's answer can't be understood")


def _seconds(retry_after: str) -> int:
    """Whole seconds of a `Retry-After`; 1 where it is a date or nonsense."""
    return (
        min(int(retry_after), _LONGEST_WAIT_S)
        if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6
        else 1
    )
