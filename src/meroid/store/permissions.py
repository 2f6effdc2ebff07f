"""How permissions stand in a column: a JSON list of their texts, in order."""

import json
from functools import lru_cache


def permissions_text(permissions: tuple[str, ...]) -> str:
    """The text of a column for these permissions."""
    return json.dumps(permissions, ensure_ascii=False, separators=(",", ":"))


# Every request reads the same few texts again.
@lru_cache(maxsize=4096)
def parse_permissions(text: str) -> tuple[str, ...]:
    """The permissions that a column's text holds."""
    return tuple(json.loads(text))
