"""Reading values of a TOML table, and writing them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from meroid.config.errors import BadConfigError


def table_in(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table inside a table; empty where it is missing. BadConfigError if it is something else."""
    value = table.get(key, {})
    if not isinstance(value, Mapping):
        raise BadConfigError(f"{key} is not a table")
    return value


def texts_in(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts; empty where it is missing. BadConfigError if it is something else."""
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadConfigError(f"{key} is not a list of texts")
    return tuple(value)


def quoted(text: str) -> str:
    """A text as TOML writes it."""
    # JSON's escapes are all TOML's too, which wants one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def quoted_list(texts: Sequence[str]) -> str:
    """A list of texts as TOML writes it."""
    return "[" + ", ".join(quoted(text) for text in texts) + "]"
