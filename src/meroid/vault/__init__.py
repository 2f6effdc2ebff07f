"""The key stores: where the store key lies, seeds sealed under it, and a process that leaks little."""
