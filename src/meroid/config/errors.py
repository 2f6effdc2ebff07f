"""What can be wrong with a configuration."""

from meroid.errors import InvalidInputError, NotFoundError, UnavailableError


class NoSuchNodeError(NotFoundError):
    """There is no node in that home."""

    code = "no_such_node"
    next_step = "make it first: `merod --node-name NAME init`"


class ConfigUnwritableError(UnavailableError):
    """The configuration can't be changed from here; it is as it was."""

    code = "config_unwritable"
    next_step = "check that config.toml may be written and the disk isn't full, or write node.key_store by hand"


class BadConfigError(InvalidInputError):
    """The configuration can't be read or says something impossible."""

    code = "bad_config"
    next_step = "correct the named key in the configuration"
