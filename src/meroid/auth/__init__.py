"""Proving who asks: login methods, passwords, tokens, refresh families, first owner, throttling."""
