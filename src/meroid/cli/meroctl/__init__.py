"""`meroctl`, also called `merocli`: the command line of a node, over HTTP."""

from meroid.cli.meroctl.program import main

__all__ = ["main"]
