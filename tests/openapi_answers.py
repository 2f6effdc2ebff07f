"""Whether an answer is one that the OpenAPI document promises: status, code, content type, shape."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jsonschema_rs

from meroid.http.openapi import document
from meroid.http.routes import RouteTable
from meroid.wire.faults import BadPathError, NoSuchPathError, WrongMethodError

NOT_ROUTED = {"no_such_path", "wrong_method"}
IN_FRONT = {"host_refused", "origin_refused"}


class Promises:
    """The document of one route table, made when it is first asked for."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table
        self._validators: dict[str, Any] = {}

    @cached_property
    def document(self) -> dict[str, Any]:
        return document(self._table.endpoints)

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Fail if the document doesn't have this answer."""
        code = headers.get("x-meroid-code")
        if code in NOT_ROUTED | IN_FRONT:
            return
        try:
            match = self._table.find(method, path.partition("?")[0].encode())
        except (BadPathError, NoSuchPathError, WrongMethodError):
            return
        wanted = "get" if method == "HEAD" else method.lower()
        operation = self.document["paths"].get(match.endpoint.path, {}).get(wanted)
        if operation is None:  # an upgrade
            return
        named = f"{method} {match.endpoint.path} → {status} {code}"
        answer = operation["responses"].get(str(status))
        assert answer is not None, f"{named}: the document has no such status"
        if status != 200:
            assert code in answer["headers"]["X-Meroid-Code"]["schema"]["enum"], f"{named}: no such code there"
        if method == "HEAD":
            return
        kind = headers.get("content-type", "").partition(";")[0]
        assert kind in answer["content"], f"{named}: no content type {kind!r} there"
        if kind == "application/json":
            problem = next(self._validator(match.endpoint.path, wanted, status).iter_errors(json.loads(body)), None)
            assert problem is None, f"{named}: {problem}"

    def _validator(self, path: str, method: str, status: int) -> Any:
        schema = self.document["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
        key = f"{method} {path} {status}"
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[key]
