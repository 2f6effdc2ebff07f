"""The settings of wasmtime; the node and the process that compiles must have the same."""

from wasmtime import Config

from meroid.runtime import limits


def engine_config() -> Config:
    """Fuel is counted, NaNs are canonical, threads and what isn't needed are off."""
    config = Config()
    config.consume_fuel = True
    config.max_wasm_stack = limits.STACK.value
    config.cranelift_nan_canonicalization = True
    config.memory_may_move = False
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_relaxed_simd = False
    config.wasm_gc = False
    config.wasm_component_model = False
    return config
