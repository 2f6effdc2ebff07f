"""Carrying bytes between nodes over Zenoh: the adapter behind the `Transport` port."""
