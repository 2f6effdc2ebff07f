"""Schemathesis reads the OpenAPI document and finds nothing: what is sent is what the document says, and what it forbids."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error, unsupported_method
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks as openapi_checks
from tests.served_node import ServedNode, network, served_node

EXAMPLES = 10
LONG_EXAMPLES = 500
ENDS_ITS_TOKEN = {"/auth/logout"}
LOOSE = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
]
CHECKS = [
    not_a_server_error,
    unsupported_method,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.missing_required_header,
    openapi_checks.use_after_free,
    openapi_checks.ignored_auth,
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as made:
        yield made


@pytest.fixture(scope="module")
def document(node: ServedNode) -> Any:
    loaded = schemathesis.openapi.from_dict(node.ask("GET", "/openapi.json").json)
    loaded.config.update(base_url=f"http://127.0.0.1:{node.server.port}")
    loaded.config.generation.allow_extra_parameters = False  # unknown fields of a query are ignored, as in bodies
    loaded.config.generation.with_security_parameters = False  # the header is put in when it is sent
    return loaded


def problems(node: ServedNode, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, examples: int) -> str:
    """What Schemathesis has to say about one operation, told the truth or lied to; empty if nothing."""

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=LOOSE)
    @given(case=operation.as_strategy(generation_mode=mode))
    def tried(case: schemathesis.Case[Any]) -> None:
        # a token of its own where it ends what it is sent with
        token = node.mint("context:list") if case.operation.path in ENDS_ITS_TOKEN else node.token
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=30)

    try:
        tried()
    except Unsatisfiable:
        return ""  # an operation that takes nothing can't be lied to
    except FailureGroup as found:
        return f"{operation.label}, {mode.value}: {'; '.join(str(each) for each in found.exceptions)}"
    return ""


def all_problems(node: ServedNode, document: Any, examples: int) -> list[str]:
    operations = [each.ok() for each in document.get_all_operations()]
    assert len(operations) > 60
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    found = [problems(node, operation, mode, examples) for operation in operations for mode in modes]
    assert node.ask("GET", "/admin-api/is-authed").status == 200
    return [each for each in found if each]


def test_schemathesis_finds_nothing(node: ServedNode, document: Any) -> None:
    assert all_problems(node, document, EXAMPLES) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_schemathesis_finds_nothing_for_long(node: ServedNode, document: Any) -> None:
    assert all_problems(node, document, LONG_EXAMPLES) == []
