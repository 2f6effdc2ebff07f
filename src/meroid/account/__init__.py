"""Accounts: the seed and the keys that grow from it, the key log, delegation certificates."""
