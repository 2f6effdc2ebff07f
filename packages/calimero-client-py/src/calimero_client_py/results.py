"""Results that are what they always were, and that may also be awaited."""

from collections.abc import Generator
from typing import Any, Self


class AwaitableValue:
    """An `await` that gives the value itself, at once."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self


class DictResult(AwaitableValue, dict[str, Any]):
    """A dict that may be awaited."""


class ListResult(AwaitableValue, list[Any]):
    """A list that may be awaited."""


class TextResult(AwaitableValue, str):
    """A text that may be awaited."""


class BytesResult(AwaitableValue, bytes):
    """Bytes that may be awaited."""


class DetectedMode(TextResult):
    """`required` or `none`, as text; also with `.value`."""

    @property
    def value(self) -> str:
        """The plain text."""
        return str(self)


def awaitable(value: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """The value in a type that may be awaited; numbers, booleans and None stay as they are."""
    if isinstance(value, dict):
        return DictResult(value)
    if isinstance(value, list):
        return ListResult(value)
    return TextResult(value) if isinstance(value, str) else value
