"""The store key of a node and all that lies under it, with vault and store at hand: taken, rotated, moved, shown."""
