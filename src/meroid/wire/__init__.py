"""The fixed outside format: shapes, envelopes, permission strings, status codes; no I/O."""
