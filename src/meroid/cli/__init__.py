"""The command lines: `meroctl` speaks HTTP to a node, `merod` is the node."""
