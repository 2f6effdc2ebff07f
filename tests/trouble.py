"""An application that misbehaves in every way that an application can, in WAT text."""

from functools import cache
from typing import Final

from tests.unit.runtime.guests import buffer, guest

_DATA: Final = 1024
_ROOT, _TEXT, _SURROGATE = 0, 32, 48  # offsets of the data
_FAR: Final = 131072  # where memory begins that a method grows for itself
_PAGES: Final = 80


def _given_back(at: int, size: int) -> str:
    return f"(call $return (i64.const {at}) (i64.const {size}))"


def _committed(artifact_bytes: int) -> str:
    """Grows the memory and commits an artifact of so many bytes, all of them `a`."""
    fill = f"(memory.fill (i32.const {_FAR}) (i32.const 97) (i32.const {artifact_bytes}))"
    descriptors = buffer(_DATA + _ROOT, 32) + buffer(_FAR, artifact_bytes, slot=16)
    return f"{_grown()} {fill} {descriptors} (call $commit (i64.const 0) (i64.const 16))"


def _grown() -> str:
    return f"(drop (memory.grow (i32.const {_PAGES})))"


def _nested(levels: int) -> str:
    """Returns so many brackets that open, and as many that close."""
    opened = f"(memory.fill (i32.const {_FAR}) (i32.const 91) (i32.const {levels}))"
    closed = f"(memory.fill (i32.const {_FAR + levels}) (i32.const 93) (i32.const {levels}))"
    return f"{_grown()} {opened} {closed} {_given_back(_FAR, 2 * levels)}"


def _digits(count: int) -> str:
    nines = f"(memory.fill (i32.const {_FAR}) (i32.const 57) (i32.const {count}))"
    return f"{_grown()} {nines} {_given_back(_FAR, count)}"


def _event(size: int) -> str:
    """Emits an event whose kind is `text` and whose data has so many bytes."""
    fields = ((0, _DATA + _TEXT), (8, 4), (16, _FAR), (24, size))
    stores = "".join(f"(i64.store offset={at} (i32.const 0) (i64.const {value}))" for at, value in fields)
    return f"{stores} (call $emit (i64.const 0))"


METHODS: Final = {
    "init": "",
    "fine": f"{_digits(3)}",
    "trap": "(unreachable)",
    "loop": "(loop (br 0))",
    "recurse": "(call $recurse)",
    "text": _given_back(_DATA + _TEXT, 4),
    "surrogate": _given_back(_DATA + _SURROGATE, 8),
    "nothing": _given_back(_DATA, 0),
    "deep": _nested(50_000),
    "digits": _digits(100_000),
    "text_after_commit": _committed(10) + _given_back(_DATA + _TEXT, 4),
    "commit_small": _committed(10),
    "commit_most": _committed(1024 * 1024 - 8 * 1024 - 64),
    "commit_too_much": _committed(1024 * 1024 - 8 * 1024),
    "commit_far_too_much": _committed(5_000_000),
    "shout": _grown() + _event(16 * 1024) * 100 + _committed(1),
    "grow": "(drop (memory.grow (i32.const 60000))) (i32.store (i32.const 2000000000) (i32.const 1))",
}
"""Name of each exported method and its body."""


@cache
def trouble_bytecode() -> bytes:
    """The compiled module."""
    text = b"\x07" * 32 + b"text".ljust(16) + b'"\\ud800"'
    exported = "".join(f'(func (export "{name}") {body})' for name, body in METHODS.items())
    more = f'(func $recurse (call $recurse)) (func (export "takes") (param i32)) {exported}'
    return guest("", data=text, more=more)


@cache
def stubborn_bytecode(init: str) -> bytes:
    """A module whose `init` does what this method of the other does."""
    text = b"\x07" * 32 + b"text".ljust(16) + b'"\\ud800"'
    more = f'(func $recurse (call $recurse)) (func (export "init") {METHODS[init]})'
    return guest("", data=text, more=more)
