"""Why a JSON-RPC call failed, in words: `error` of an answer of `/jsonrpc` (`wire/node.md` §2.1)."""

import json
import re
from dataclasses import dataclass

_RETURNED = re.compile(r"the method call returned an error: \[([0-9, ]*)\]", re.ASCII)

_ADVICE = {
    "FunctionCallError": "check the method's name and arguments",
    "ParseError": "check the ids and the arguments",
    "ContextNotFound": "see which contexts this node has: meroctl context ls",
    "Uninitialized": "wait until the state has arrived: meroctl context sync",
    "Unauthorized": "call as an identity that this node holds there: meroctl context identity list --owned",
    "ApplicationNotInstalled": "install the application: meroctl app install",
    "AliasResolutionFailed": "see the aliases: meroctl context identity alias ls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailure:
    """A failed call.

    Attributes:
        kind: `type` of the wire, for example `FunctionCallError`.
        reason: one sentence.
        application_error: what the application gave back as its error: JSON value or text; None where it gave none.
        code: the node's stable code; empty when it sent none.
        next_step: what to do about it.
    """

    kind: str
    reason: str
    application_error: object
    code: str
    next_step: str


def call_failure(answer: object) -> CallFailure | None:
    """The failure in an answer, or None where the call went well."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is None:
        return None
    facts = _facts(error)
    kind = _text(facts.get("type")) or "UnknownError"
    ours = _facts(facts.get("meroid"))
    given = _application_error(facts.get("data"))
    return CallFailure(
        kind=kind,
        reason=_runtime_text(kind, facts.get("data"), given=given)
        or _text(ours.get("reason"))
        or _reason(facts.get("data"), given=given),
        application_error=given,
        code=_text(ours.get("code")),
        next_step=_text(ours.get("next")) or _advice(kind, given=given),
    )


def _runtime_text(kind: str, data: object, *, given: object) -> str:
    """What the runtime says of a method that failed without an error value; it tells more than the node's reason."""
    return _text(data) if kind == "FunctionCallError" and given is None else ""


def _advice(kind: str, *, given: object) -> str:
    if given is not None:
        return "see what the application says about it"
    return _ADVICE.get(kind, "look into the log of the node")


def _reason(data: object, *, given: object) -> str:
    if given is not None:
        return "the application returned an error"
    if isinstance(data, str):
        return data
    if isinstance(data, dict) and isinstance(data.get("message"), str):
        return str(data["message"])
    return json.dumps(data, ensure_ascii=False) if data else "the node says no more about it"


def _application_error(data: object) -> object:
    """The decoded error value of the guest, which the wire carries as a decimal list."""
    found = _RETURNED.fullmatch(data) if isinstance(data, str) else None
    if found is None:
        return None
    numbers = [int(part) for part in found[1].replace(",", " ").split()]
    if any(number > 255 for number in numbers):
        return None
    text = bytes(numbers).decode("utf-8", "replace")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if value is None else value


def _facts(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
