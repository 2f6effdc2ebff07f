"""The Python client: HTTP to a node, tokens kept and refreshed, nothing prompted."""
