"""The tables that the alias commands share."""

from collections.abc import Mapping

from meroid.cli.meroctl.tables import Table


def alias_table(aliases: Mapping[str, str]) -> Table:
    """All aliases of one scope, by name."""
    return Table(["Value", "Alias"], [[aliases[name], name] for name in sorted(aliases)])


def lookup_table(value: object) -> Table:
    """What one alias names."""
    if not isinstance(value, str):
        return Table(["Alias Lookup"], [["Status", "Not Found"]])
    return Table(["Alias Lookup"], [["Status", "Found"], ["Value", value]])
