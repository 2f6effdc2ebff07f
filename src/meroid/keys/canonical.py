"""Canonical bytes: deterministic CBOR (RFC 8949 §4.2.1), and hashes with a domain tag.

Values are ints of 64 bits, byte strings, texts, booleans, null, arrays, and maps with int or text
keys. Keys stand in the bytewise order of their encodings, and every head has its shortest form.
Floats, tags, other simple values and indefinite lengths don't exist here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from meroid import limits
from meroid.errors import IntegrityError

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int | str, Value] | None"
"""What `parse_canonical` gives."""
Encodable: TypeAlias = (
    "int | bytes | str | bool | Sequence[Encodable]"
    "| Mapping[str, Encodable] | Mapping[int, Encodable] | Mapping[int | str, Encodable] | None"
)
"""What `canonical_bytes` takes: any `Value`; arrays are lists or tuples."""

_SEPARATOR: Final = b"\x00"
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
_ONE_BYTE_FOLLOWS: Final = 24  # arguments below stand in the head itself
_BYTES_HEAD, _TEXT_HEAD = _BYTES << 5, _TEXT << 5
_SIMPLE_VALUES: Final = {0xF4: False, 0xF5: True, 0xF6: None}


class NotCanonicalError(IntegrityError):
    """The bytes aren't the one canonical encoding of a value."""

    code = "not_canonical"
    next_step = "encode the value as deterministic CBOR (RFC 8949 §4.2.1)"


def canonical_bytes(value: Encodable) -> bytes:
    """Encode a value; equal values give equal bytes.

    Raises:
        ValueError: the value has no canonical form (a mistake of the caller, never of its input).
    """
    out: list[bytes] = []
    _write(value, out, 0)
    return b"".join(out)


def parse_canonical(data: bytes) -> Value:
    """Decode bytes that are exactly one canonically encoded value, in time linear in their length.

    Raises:
        NotCanonicalError: truncated, trailing bytes, another encoding of the same value,
            floats, tags, duplicate keys or nesting beyond `limits.CBOR_DEPTH`.
    """
    data = bytes(data)
    try:
        value, end = _read(data, 0, 0)
    except (ValueError, IndexError):
        raise NotCanonicalError("the bytes are not canonical CBOR") from None
    if end != len(data):
        raise NotCanonicalError("bytes follow the CBOR value")
    return value


def tagged_hash(tag: str, *parts: bytes) -> bytes:
    """SHA-256 over a domain tag, a zero byte and the parts; 32 bytes.

    Tags are ASCII without zeros. The parts are only joined: all but one have a fixed length.
    """
    digest = hashlib.sha256(tag.encode("ascii") + _SEPARATOR)
    for part in parts:
        digest.update(part)
    return digest.digest()


def tagged_message(tag: str, message: bytes) -> bytes:
    """The bytes that are signed for a purpose: domain tag, zero byte, message."""
    return tag.encode("ascii") + _SEPARATOR + message


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value that starts at an offset, and the offset behind it; reading past the end raises."""
    head = data[at]
    at += 1
    if head == _BYTES_HEAD + _ONE_BYTE_FOLLOWS:  # nearly all ids, keys and signatures: no need to look further
        end = at + 1 + data[at]
        if data[at] < _ONE_BYTE_FOLLOWS or end > len(data):
            raise ValueError("not the shortest form, or truncated")
        return data[at + 1 : end], end
    major, argument = head >> 5, head & 31
    if major == _SIMPLE:
        if head not in _SIMPLE_VALUES:
            raise ValueError("neither false, true nor null")
        return _SIMPLE_VALUES[head], at
    if argument >= _ONE_BYTE_FOLLOWS:
        argument, at = _read_argument(data, at, argument)
    if major <= _NEGATIVE:
        return (argument if major == _UNSIGNED else -1 - argument), at
    if major <= _TEXT:
        end = at + argument
        if end > len(data):
            raise ValueError("truncated")
        return (data[at:end] if major == _BYTES else data[at:end].decode()), end
    if depth >= limits.CBOR_DEPTH.value or major > _MAP:
        raise ValueError("nested too deep, or a tag")
    return (_read_array if major == _ARRAY else _read_map)(data, at, argument, depth + 1)


def _read_argument(data: bytes, at: int, size_code: int) -> tuple[int, int]:
    """An argument of 1, 2, 4 or 8 bytes, which must not fit into fewer."""
    if size_code == _ONE_BYTE_FOLLOWS:
        if data[at] < _ONE_BYTE_FOLLOWS:
            raise ValueError("not the shortest form")
        return data[at], at + 1
    if size_code > 27:
        raise ValueError("reserved or indefinite length")
    width = 1 << (size_code - 24)
    end = at + width
    argument = int.from_bytes(data[at:end], "big")
    if end > len(data) or not argument >> (width * 4):
        raise ValueError("truncated, or not the shortest form")
    return argument, end


def _read_array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    for _ in range(count):
        item, at = _read(data, at, depth)
        items.append(item)
    return items, at


def _read_map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[int | str, Value], int]:
    items: dict[int | str, Value] = {}
    before = b""
    for _ in range(count):
        start, head = at, data[at]
        key: Value
        if _TEXT_HEAD <= head < _TEXT_HEAD + _ONE_BYTE_FOLLOWS:  # nearly all keys: no need to look further
            at += 1 + head - _TEXT_HEAD
            encoded = data[start:at]
            key = encoded[1:].decode()
        else:
            key, at = _read(data, at, depth)
            encoded = data[start:at]
            if isinstance(key, bool) or not isinstance(key, int | str):
                raise ValueError("keys are ints or texts")
        if encoded <= before:
            raise ValueError("keys are out of order or twice there")
        before = encoded
        items[key], at = _read(data, at, depth)  # raises if the key ran past the end
    return items, at


def _write(value: object, out: list[bytes], depth: int) -> None:
    if isinstance(value, bytes):
        out.append(_head(_BYTES, len(value)))
        out.append(value)
    elif isinstance(value, str):
        text = value.encode()
        out.append(_head(_TEXT, len(text)))
        out.append(text)
    elif value is None or isinstance(value, bool):
        out.append(b"\xf6" if value is None else b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        out.append(_head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    else:
        _write_container(value, out, depth)


def _write_container(value: object, out: list[bytes], depth: int) -> None:
    if depth >= limits.CBOR_DEPTH.value:
        raise ValueError("nested too deep")
    if isinstance(value, list | tuple):
        out.append(_head(_ARRAY, len(value)))
        for item in value:
            _write(item, out, depth + 1)
    elif isinstance(value, Mapping):
        out.append(_head(_MAP, len(value)))
        for key, item in _ordered(value):
            out.append(key)
            _write(item, out, depth + 1)
    else:
        raise ValueError(f"{type(value).__name__} has no canonical form")  # noqa: TRY004 - one error for every bad value


def _ordered(value: Mapping[object, object]) -> list[tuple[bytes, object]]:
    """The items with their keys encoded, in the bytewise order of the keys."""
    return sorted(((_key(key), item) for key, item in value.items()), key=lambda pair: pair[0])


def _key(key: object) -> bytes:
    if isinstance(key, str):
        text = key.encode()
        return _head(_TEXT, len(text)) + text
    if isinstance(key, int) and not isinstance(key, bool):
        return _head(_UNSIGNED, key) if key >= 0 else _head(_NEGATIVE, -1 - key)
    raise ValueError("keys are ints or texts")


def _head(major: int, argument: int) -> bytes:
    """The first bytes of an item: its major type and its argument in the shortest form."""
    if argument < 24:
        return _SHORT_HEADS[major][argument]
    for size_code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if not argument >> (8 * width):
            return bytes((major << 5 | size_code,)) + argument.to_bytes(width, "big")
    raise ValueError("larger than 64 bits")


_SHORT_HEADS: Final = tuple(tuple(bytes((major << 5 | argument,)) for argument in range(24)) for major in range(8))
