"""Compiles modules in a process of their own, which has a bound on time and memory.

Why: the compiler's time grows with the square of a function's length and worse; a module of 4.6 kB
takes 12 s, one of 900 kB minutes, and the library can't be interrupted. Checking a module without
compiling it isn't linear either: 250 kB take 3.5 s. So no size is small enough to do it in the node.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import wasmtime

import meroid
from meroid.runtime import limits
from meroid.runtime.compiler_process import COMPILED, REFUSED
from meroid.service.ports.runtime import NotCompiledError

TOO_LONG: Final = "compilation takes too long"
BROKE_OFF: Final = "compilation failed: the compiler broke off, most likely for want of memory"

_PROCESS: Final = "meroid.runtime.compiler_process"
_KEPT_VARIABLES: Final = ("LD_LIBRARY_PATH", "PYTHONHOME")  # without them some interpreters don't start


class CompilationRefusedError(Exception):
    """The bytes aren't a module; anybody would find the same. The text is the compiler's."""


class CompilationEndedError(Exception):
    """A bound ended the compilation; with more time or memory it may succeed."""


class Compiler:
    """Compiles one module at a time; who comes meanwhile waits for a turn.

    Args:
        seconds: of processor and of wall clock for one module.
        memory_bytes: address space of the process.
        wait_seconds: for a turn.
    """

    def __init__(
        self,
        *,
        seconds: int = limits.COMPILE_TIME.value,
        memory_bytes: int = limits.COMPILE_MEMORY.value,
        wait_seconds: int = limits.COMPILE_WAIT.value,
    ) -> None:
        self._seconds = seconds
        self._wait_seconds = wait_seconds
        self._command = _command(seconds, memory_bytes)
        self._turn = threading.Lock()

    def compile(self, bytecode: bytes) -> bytes:
        """The machine code of a module, to be given to `Module.deserialize` of the same process.

        Raises:
            CompilationRefusedError: it is none.
            CompilationEndedError: it takes too long or too much memory.
            NotCompiledError: it wasn't tried: no turn, or no process.
        """
        if not self._turn.acquire(timeout=self._wait_seconds):
            raise NotCompiledError("too many modules wait to be compiled")
        try:
            return self._compile(bytecode)
        finally:
            self._turn.release()

    def _compile(self, bytecode: bytes) -> bytes:
        try:
            ended = subprocess.run(  # noqa: S603  # our own module; kills and reaps the process in any case
                self._command,
                input=bytecode,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self._seconds,
                check=False,
                cwd="/",
                env=_environment(),
                process_group=0,  # the terminal's Ctrl-C is for the node
            )
        except subprocess.TimeoutExpired:
            raise CompilationEndedError(TOO_LONG) from None
        except OSError as problem:
            raise NotCompiledError(f"no process to compile in: {problem.strerror}") from None
        if ended.returncode == COMPILED:
            return ended.stdout
        if ended.returncode == REFUSED:
            raise CompilationRefusedError(ended.stdout.decode(errors="replace"))
        raise CompilationEndedError(TOO_LONG if ended.returncode == -signal.SIGXCPU else BROKE_OFF)


def _command(seconds: int, memory_bytes: int) -> Sequence[str]:
    """Without `site` and without the current directory: only what `_environment` names is imported."""
    flags = ("-S", "-P", "-B") if sys.dont_write_bytecode else ("-S", "-P")
    return (sys.executable, *flags, "-m", _PROCESS, str(seconds), str(memory_bytes))


def _environment() -> Mapping[str, str]:
    """The places that this process has its own modules from, however it was started; nothing else of its own."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    places = dict.fromkeys(str(Path(package.__path__[0]).resolve().parent) for package in (meroid, wasmtime))
    threads = {"RAYON_NUM_THREADS": str(limits.COMPILE_THREADS.value)}
    return {**kept, **threads, "PYTHONPATH": os.pathsep.join(places)}
