"""`mero-auth`: makes and runs the auth service alone."""

from meroid.cli.mero_auth.program import main

__all__ = ["main"]
