"""meroid: identity for shared, replicated applications."""

__version__ = "0.1.0"
