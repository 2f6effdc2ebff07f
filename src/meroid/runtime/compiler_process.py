"""The process that compiles one module: bytecode on stdin, machine code or a reason on stdout.

`compiler.py` starts it as `python -m meroid.runtime.compiler_process SECONDS BYTES`. It imports
wasmtime and little else, since each compilation pays for its start.
"""

import contextlib
import os
import resource
import sys
from typing import Final

from wasmtime import Engine, Module, WasmtimeError

from meroid.runtime import limits
from meroid.runtime.engine import engine_config

COMPILED: Final = 0
REFUSED: Final = 3
"""Exit codes; any other means that the process broke off."""

_NICENESS: Final = 10
_LONGEST_REASON: Final = 2000


def main() -> int:
    """Compile under the bounds that the arguments name."""
    seconds, memory_bytes = (int(text) for text in sys.argv[1:3])
    _confine(seconds, memory_bytes)
    refusal, compiled = _compile(sys.stdin.buffer.read())
    sys.stdout.buffer.write(compiled if refusal is None else refusal[:_LONGEST_REASON].encode())
    sys.stdout.buffer.flush()
    return COMPILED if refusal is None else REFUSED


def _confine(seconds: int, memory_bytes: int) -> None:
    """Give up what a compiler doesn't need; the kernel ends the process at a bound, even if the node has gone."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123  # no pathlib here
        score.write("1000")  # short of memory, the machine ends this process before the node
    _bound(resource.RLIMIT_CPU, seconds, seconds + 1)  # the first sends SIGXCPU, which names the cause
    _bound(resource.RLIMIT_AS, memory_bytes, memory_bytes)
    _bound(resource.RLIMIT_FSIZE, 0, 0)
    _bound(resource.RLIMIT_CORE, 0, 0)


def _bound(kind: int, soft: int, hard: int) -> None:
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:  # nobody may raise it
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def _compile(bytecode: bytes) -> tuple[str | None, bytes | bytearray]:
    """Why not, or nothing; and the machine code.

    What the node does later with a module costs time for each import and export, so their number is
    bounded here, where counting them can't hurt it.
    """
    try:
        module = Module(Engine(engine_config()), bytecode)
    except WasmtimeError as error:
        return str(error), b""
    for limit, count in ((limits.IMPORTS, len(module.imports)), (limits.EXPORTS, len(module.exports))):
        if count > limit.value:
            return f"the module has more than {limit.value} {limit.unit}", b""
    compiled = module.serialize()
    if len(compiled) > limits.COMPILED_BYTES.value:
        return f"the module has more than {limits.COMPILED_BYTES.value} bytes of machine code", b""
    return None, compiled


if __name__ == "__main__":
    sys.exit(main())
