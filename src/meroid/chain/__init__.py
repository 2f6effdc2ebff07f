"""Speaking to NEAR: what its JSON-RPC says about accounts."""
