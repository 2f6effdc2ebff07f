"""How log lines look: JSON for programs, columns for a person at a terminal; and no secret in either.

`MEROID_LOG` is `json` or `human` (default: human on a terminal), `MEROID_LOG_LEVEL` is `debug`, `info` (default),
`warning` or `error`. At `debug` every request has a line.
"""

import logging
import os
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

FORMAT: Final = "MEROID_LOG"
LEVEL: Final = "MEROID_LOG_LEVEL"
HIDDEN: Final = "(hidden)"

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES: Final = re.compile(r"password|secret|token|authorization|cookie|passphrase|phrase|setup_code", re.IGNORECASE)
_TEXTS: Final = re.compile(
    r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"  # a compact JWS
    r"|(?<=bearer )\S+"
    r"|(?<=token=)[^&\s#\"']+",
    re.IGNORECASE,
)


def configure_log(stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
    """Write log lines to a stream from now on, in this process."""
    chosen = environment.get(FORMAT) or ("human" if stream.isatty() else "json")
    level = _level(environment)
    shown: list[Processor]
    if chosen == "json":
        # Texts of exceptions only: renderers that print local variables would print tokens and passwords.
        shown = [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    else:
        colours = stream.isatty() and not environment.get("NO_COLOR")
        shown = [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback),
        ]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=stream),
    )


def logs_requests(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether every request has a line."""
    return _level(environment) <= logging.DEBUG


def _level(environment: Mapping[str, str]) -> int:
    return _LEVELS.get(environment.get(LEVEL, "info").lower(), logging.INFO)


def redact(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what has the name or the form of a secret: the last guard, behind code that doesn't log any."""
    for name, value in line.items():
        if _NAMES.search(name):
            line[name] = HIDDEN
        elif isinstance(value, str):
            line[name] = _TEXTS.sub(HIDDEN, value)
        elif not isinstance(value, int | float | bool | None):
            line[name] = _TEXTS.sub(HIDDEN, str(value))
    return line
