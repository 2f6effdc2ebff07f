"""`merod`: makes and runs a node."""

from meroid.cli.merod.program import main

__all__ = ["main"]
