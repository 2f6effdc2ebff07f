"""The runtime: wasmtime behind the port `Runtime`."""

import threading
from collections.abc import Callable
from typing import Any, Final

from wasmtime import Engine, Linker, Memory, Store, Trap, WasmtimeError

from meroid.ids import BlobId
from meroid.runtime import limits, native
from meroid.runtime.compiler import CompilationEndedError, Compiler
from meroid.runtime.engine import engine_config
from meroid.runtime.failure import GuestError, missing_text, signature_text, trap_text
from meroid.runtime.guest import GuestRun
from meroid.runtime.host import HOST_FUNCTIONS, HostFunction
from meroid.runtime.modules import CompiledModule, EndedModules, ModuleCache, compile_module, one_line
from meroid.service.ports.runtime import BadModuleError, Invocation, NotCompiledError, Outcome

_REGISTER_MERGE: Final = "__calimero_register_merge"
_U64: Final = 2**64 - 1


class _Current(threading.local):
    """The run that the calling thread is in; host functions are shared by all runs."""

    run: GuestRun | None = None


class WasmRuntime:
    """Runs WebAssembly applications; one object serves any number of threads.

    Each run gets a fresh instance, so nothing but the state survives it. Results don't depend on
    the machine: NaNs are canonical, threads and other sources of chance are off.

    Modules are compiled in other processes, at most two at a time: one for modules that are new here,
    one for those that run. So a stranger's module never keeps a known one waiting.
    """

    def __init__(
        self,
        *,
        fuel: int = limits.FUEL.value,
        host_calls: int = limits.HOST_CALLS.value,
        memory_bytes: int = limits.MEMORY.value,
        cached_modules: int = limits.CACHED_MODULES.value,
        compile_seconds: int = limits.COMPILE_TIME.value,
        compile_memory_bytes: int = limits.COMPILE_MEMORY.value,
    ) -> None:
        self._fuel = fuel
        self._host_calls = host_calls
        self._memory_bytes = memory_bytes
        self._engine = Engine(engine_config())
        self._linker = Linker(self._engine)
        self._current = _Current()
        self._callbacks = [self._define(name, function) for name, function in HOST_FUNCTIONS.items()]
        self._modules = ModuleCache(modules=cached_modules, size=limits.CACHED_BYTES.value)
        self._ended = EndedModules(modules=limits.ENDED_MODULES.value, seconds=limits.ENDED_TIME.value)
        self._new, self._known = (
            Compiler(seconds=compile_seconds, memory_bytes=compile_memory_bytes) for _ in range(2)
        )

    def check(self, blob_id: BlobId, bytecode: bytes) -> None:
        """Refuse what can't run here; what can is ready for `run` then.

        Raises:
            BadModuleError: not WebAssembly, unknown imports, an unsupported family, or it takes too
                much time or memory to compile.
            NotCompiledError: it couldn't be tried now.
        """
        reason = self._ended.reason(blob_id)
        if reason is not None:
            raise BadModuleError(reason)
        try:
            self._modules.get(blob_id, lambda: self._compile(self._new, bytecode))
        except CompilationEndedError as ended:
            self._ended.note(blob_id, str(ended))
            raise BadModuleError(str(ended)) from None

    def run(
        self,
        blob_id: BlobId,
        load: Callable[[], bytes],
        invocation: Invocation,
        read: Callable[[bytes], bytes | None],
    ) -> Outcome:
        """Run one exported function in a fresh instance; what `load` and `read` raise goes through.

        A failure is the same on every node. How long a compilation takes isn't, so that one which
        is ended is no failure.

        Raises:
            NotCompiledError: the module couldn't be compiled now.
        """
        try:
            module = self._modules.get(blob_id, lambda: self._compile(self._known, load()))
        except BadModuleError as refused:
            return Outcome(failure=refused.reason)
        except CompilationEndedError as ended:
            raise NotCompiledError(str(ended)) from None
        plain = module.methods.get(invocation.method)
        if plain is None:
            return Outcome(failure=missing_text(invocation.method))
        if not plain:
            return Outcome(failure=signature_text(invocation.method))
        outer = self._current.run
        try:
            with Store(self._engine) as store:
                return self._run_in(store, module, invocation, read)
        finally:
            self._current.run = outer

    def _run_in(
        self, store: Store, module: CompiledModule, invocation: Invocation, read: Callable[[bytes], bytes | None]
    ) -> Outcome:
        store.set_limits(
            memory_size=self._memory_bytes, table_elements=limits.TABLE.value, instances=1, tables=16, memories=1
        )
        store.set_fuel(self._fuel)
        run = self._current.run = GuestRun(invocation, read, calls_left=self._host_calls)
        try:
            instance = module.instances.instantiate(store)
        except Trap as early:
            return _ended(run, early)
        except WasmtimeError as error:
            if run.failure is None and run.crash is None:
                return run.failed(f"link error: {one_line(error)}")
            return _ended(run, error)
        memory = native.export(store, instance, "memory")
        if isinstance(memory, Memory):
            run.memory.attach(store, memory)
        if module.methods.get(_REGISTER_MERGE) and native.call(store, native.export(store, instance, _REGISTER_MERGE)):
            run = self._anew(store, run, memory)
        early_end = native.call(store, native.export(store, instance, invocation.method))
        return run.outcome() if early_end is None else _ended(run, early_end)

    def _anew(self, store: Store, run: GuestRun, memory: object) -> GuestRun:
        """Forget a failed registration of merge functions (`wire/node.md` §6.3 ignores its errors)."""
        if run.crash is not None:
            raise run.crash
        store.set_fuel(self._fuel)
        fresh = self._current.run = GuestRun(run.invocation, run.read, calls_left=self._host_calls)
        if isinstance(memory, Memory):
            fresh.memory.attach(store, memory)
        return fresh

    def _compile(self, compiler: Compiler, bytecode: bytes) -> CompiledModule:
        return compile_module(self._engine, self._linker, compiler, bytecode)

    def _define(self, name: str, function: HostFunction) -> object:
        callback = _callback(function, self._current)
        return native.define(self._linker, name, arity=function.arity, result=function.result, callback=callback)


def _callback(function: HostFunction, current: _Current) -> native.HostCallback:
    """The function as wasmtime calls it: raw values in and out; an error becomes a trap and is kept in the run."""
    arity, result, call = function

    def callback(values: Any) -> int:  # noqa: ANN401
        run = current.run
        if run is None:
            return native.new_trap()
        try:
            run.count_call()
            answer = call(run, *[values[i].i64 & _U64 for i in range(arity)])
            if result == "i32":
                values[0].i32 = answer
            elif result == "i64":
                values[0].i64 = answer
        except GuestError as error:
            run.failure = str(error)
        except BaseException as error:  # noqa: BLE001  # must not unwind through native code; `run` raises it again
            run.crash = error
        else:
            return 0
        return native.new_trap()

    return callback


def _ended(run: GuestRun, reason: Trap | WasmtimeError) -> Outcome:
    """The outcome of a run that ended early: our own reason first, then the machine's."""
    if run.crash is not None:
        raise run.crash
    return run.failed(run.failure if run.failure is not None else trap_text(reason))
