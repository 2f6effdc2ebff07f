"""Log lines: JSON for programs, columns for people, and nothing secret in them."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from meroid.config.log_lines import HIDDEN, configure_log

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhYmMifQ.c2lnbmF0dXJlLW9mLWl0LWFsbA"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before, configured = structlog.get_config(), structlog.is_configured()
    yield
    structlog.configure(**before) if configured else structlog.reset_defaults()


def line(environment: dict[str, str] | None = None, **fields: object) -> str:
    stream = io.StringIO()
    configure_log(stream, environment or {})
    structlog.get_logger("x").info("something happened", **fields)
    return stream.getvalue()


def test_it_is_json_where_no_person_reads_it() -> None:
    told = json.loads(line(code="busy", status=503))
    assert (told["event"], told["level"], told["code"], told["status"]) == ("something happened", "info", "busy", 503)
    assert told["timestamp"].endswith("Z")


def test_a_person_reads_columns() -> None:
    shown = line({"MEROID_LOG": "human"}, code="busy")
    assert "something happened" in shown
    assert "code=busy" in shown
    assert "{" not in shown


@pytest.mark.parametrize("environment", [{}, {"MEROID_LOG": "human"}])
@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2hunter2"},
        {"refresh_token": "hunter2hunter2"},
        {"why": "Bearer hunter2hunter2 was sent"},
        {"url": "/ws?token=hunter2hunter2&x=1"},
        {"url": "http://localhost/#access_token=hunter2hunter2"},
        {"header": {"authorization": "Bearer hunter2hunter2"}},
    ],
)
def test_what_has_the_name_or_form_of_a_secret_is_hidden(
    environment: dict[str, str], fields: dict[str, object]
) -> None:
    shown = line(environment, **fields)
    assert "hunter2hunter2" not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize("text", [TOKEN, f"it said {TOKEN}!", f"a\n{TOKEN}\nb"])
def test_tokens_are_hidden_wherever_they_stand(text: str) -> None:
    for shown in (line(reason=text), line(exception=text)):
        assert TOKEN.rpartition(".")[2] not in shown


def test_the_text_of_an_exception_is_searched_too() -> None:
    stream = io.StringIO()
    configure_log(stream, {})
    try:
        int(TOKEN)
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert TOKEN not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_the_level_is_chosen() -> None:
    assert line({"MEROID_LOG_LEVEL": "warning"}) == ""
    assert line({"MEROID_LOG_LEVEL": "debug"}) != ""
