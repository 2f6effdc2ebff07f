"""Names on the engine's bus, made from topics and handles.

A chunk that starts with `@` is matched by no pattern of Zenoh's, so nobody hears a topic or asks
a handle without knowing its name. Only handles under a known topic can be listed.
"""

import re

from meroid.sync.errors import BadTopicError

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def topic_key(topic: str) -> str:
    """Name of a topic's publications.

    Raises:
        BadTopicError: not 32 lower-case hex digits.
    """
    _check_id(topic, "topic")
    return f"meroid/@{topic}"


def ask_key(topic: str, handle: str) -> str:
    """Name under which a handle is asked.

    Raises:
        BadTopicError: topic or handle is not 32 lower-case hex digits.
    """
    _check_id(handle, "handle")
    return f"{topic_key(topic)}/ask/@{handle}"


def here_key(topic: str, handle: str) -> str:
    """Name that lives as long as the handle is served.

    Raises:
        BadTopicError: topic or handle is not 32 lower-case hex digits.
    """
    _check_id(handle, "handle")
    return f"{topic_key(topic)}/here/{handle}"


def here_pattern(topic: str) -> str:
    """Pattern of all handles of a topic; the only pattern there is.

    Raises:
        BadTopicError: not 32 lower-case hex digits.
    """
    return f"{topic_key(topic)}/here/*"


def handle_of(key: str) -> str | None:
    """Handle in a name made by `here_key`, or `None` when it has another form."""
    handle = key.rpartition("/")[2]
    return handle if _ID.fullmatch(handle) else None


def _check_id(value: str, what: str) -> None:
    if not _ID.fullmatch(value):
        raise BadTopicError(f"a {what} must be 32 lower-case hex digits")
