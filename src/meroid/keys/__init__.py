"""Public keys, derivation, canonical bytes, sealed messages and the Signer protocol."""
