"""One HTTP request and its answer, as values; and how an answer is judged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meroid.client.failures import NotANodeError, Refusal, RefusedError, refused

_JSON_TYPE = "application/json"
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request below the base address of a node.

    Attributes:
        method: upper case.
        path: without a leading slash; percent-encoded, with its query.
        body: raw bytes, or None for no body.
        headers: names as sent. The bearer isn't among them before a flow adds it.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def with_bearer(self, token: str) -> "Request":
        """This request with an authorisation header."""
        return replace(self, headers={**self.headers, "Authorization": f"Bearer {token}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, read to its end.

    Attributes:
        status: HTTP status.
        phrase: the status in words, as the server sent it.
        headers: names in lower case.
        body: raw bytes.
    """

    status: int
    phrase: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def auth_error(self) -> str:
        """Why a guarded route refused the token (`wire/auth.md` §1.4), or the node's code; empty when it doesn't say."""
        return self.headers.get("x-auth-error", "") or self.headers.get("x-meroid-code", "")


def json_request(method: str, path: str, body: object) -> Request:
    """A request with a JSON body; None is sent as `null`, as the wire wants it."""
    # escapes keep a lone surrogate sendable, so that the node says what is wrong with it
    data = json.dumps(body, separators=(",", ":")).encode("ascii")
    return Request(method=method, path=path, body=data, headers={"Content-Type": _JSON_TYPE})


def decode_json(response: Response) -> object:
    """The JSON value of a successful answer.

    Raises:
        RefusedError: the status isn't a success.
        NotANodeError: the body isn't JSON, or the answer is a redirect.
    """
    check_status(response)
    try:
        value: object = json.loads(response.body)
    except (ValueError, RecursionError):
        raise NotANodeError(f"the answer is not JSON but {_kind_of(response)}") from None
    return value


def check_status(response: Response) -> None:
    """Raise for an answer that isn't a success.

    Raises:
        RefusedError: 4xx or 5xx.
        NotANodeError: a redirect, or a web page where a node would refuse.
    """
    if 200 <= response.status < 300:
        return
    if response.status < 400:
        target = response.headers.get("location", "")[:200]
        raise NotANodeError(f"the address answers with a redirect ({response.status}) to {target!r}")
    if response.status in {404, 405} and _is_web_page(response):
        raise NotANodeError("the address answers with a web page, not as a node")
    raise refusal_of(response)


def refusal_of(response: Response) -> RefusedError:
    """The error that a refused answer stands for (JSON with `error`, plain text, or an empty body)."""
    said = _said(response)
    text = said.get("reason", "") or said.get("error", "")
    return refused(
        Refusal(
            status=response.status,
            phrase=response.phrase,
            text=text[:_LONGEST_TEXT],
            code=said.get("code", "") or response.headers.get("x-meroid-code", "") or response.auth_error,
            next_step=said.get("next", ""),
            retry_after_s=_retry_after(response),
        )
    )


def _said(response: Response) -> dict[str, str]:
    if _is_web_page(response):
        return {}
    try:
        value = json.loads(response.body) if response.body else None
    except (ValueError, RecursionError):
        return _said_in_lines(response.body[:_LONGEST_TEXT].decode("utf-8", "replace"))
    if not isinstance(value, dict):
        return {}
    error = value.get("error")
    facts = {**value, "error": error.get("message")} if isinstance(error, dict) else value
    return {key: facts[key] for key in ("error", "code", "reason", "next") if isinstance(facts.get(key), str)}


def _said_in_lines(text: str) -> dict[str, str]:
    """What is told in plain text: the refusal, and on lines of their own `code: …` and `next: …`, if they are there."""
    facts: dict[str, str] = {}
    reason: list[str] = []
    for line in text.splitlines():
        label, colon, rest = line.partition(": ")
        if colon and reason and label in {"code", "next"}:
            facts[label] = rest.strip()
        else:
            reason.append(line)
    return {"error": " ".join(" ".join(reason).split()), **facts}


def _retry_after(response: Response) -> int:
    text = response.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _is_web_page(response: Response) -> bool:
    return response.headers.get("content-type", "").lower().startswith("text/html")


def _kind_of(response: Response) -> str:
    if _is_web_page(response):
        return "a web page"
    return f"{len(response.body)} bytes of {response.headers.get('content-type', 'no stated type')[:80]}"
