"""Runs application code: WebAssembly in isolation, bounded in time, memory and output."""
