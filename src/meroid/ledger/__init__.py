"""The membership of a context as signed operations: their form, their rules, and the state that follows."""
