"""Reading a decoded answer with care: the server may be of another version, or none at all."""

from meroid.client.failures import NotANodeError


def value_at(answer: object, *path: str) -> object:
    """The value under these keys; a missing last key counts as None.

    Raises:
        NotANodeError: there is no object on the way.
    """
    value = answer
    for key in path:
        if not isinstance(value, dict):
            raise NotANodeError(f"the answer has another shape than a node's: no {'.'.join(path)!r}")
        value = value.get(key)
    return value


def text_at(answer: object, *path: str) -> str:
    """The text under these keys.

    Raises:
        NotANodeError: there is none.
    """
    value = value_at(answer, *path)
    if not isinstance(value, str):
        raise NotANodeError(f"the answer has another shape than a node's: no text at {'.'.join(path)!r}")
    return value


def items_at(answer: object, *path: str) -> list[object]:
    """The list under these keys.

    Raises:
        NotANodeError: there is none.
    """
    value = value_at(answer, *path)
    if not isinstance(value, list):
        raise NotANodeError(f"the answer has another shape than a node's: no list at {'.'.join(path)!r}")
    return value


def texts_at(answer: object, *path: str) -> dict[str, str]:
    """The object from text to text under these keys.

    Raises:
        NotANodeError: there is none.
    """
    value = value_at(answer, *path)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise NotANodeError(f"the answer has another shape than a node's: no texts at {'.'.join(path)!r}")
    return value


def number_at(answer: object, *path: str) -> int:
    """The whole number under these keys.

    Raises:
        NotANodeError: there is none.
    """
    value = value_at(answer, *path)
    if type(value) is not int:
        raise NotANodeError(f"the answer has another shape than a node's: no number at {'.'.join(path)!r}")
    return value
