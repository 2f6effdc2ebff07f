"""What `meroctl` itself refuses, before or after it asks the node."""

from meroid.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, UnavailableError


class BadArgumentError(InvalidInputError):
    """An argument can't be what it should be."""

    code = "bad_argument"


class BadAliasError(InvalidInputError):
    """The text can't be an alias."""

    code = "bad_alias"
    next_step = "choose 1 to 50 bytes of printable text that is no id"


class UnknownAliasError(NotFoundError):
    """The text is neither an alias nor an id."""

    code = "unknown_alias"


class NoDefaultError(NotFoundError):
    """Nothing was named, and there is no default."""

    code = "no_default"


class AliasTakenError(ConflictError):
    """The alias names another thing."""

    code = "alias_taken"
    next_step = "choose another alias, or replace it with --force where the command has it"


class NotAMemberError(NotFoundError):
    """The identity isn't one of this context."""

    code = "not_a_member"
    next_step = "see who is: meroctl context identity list"


class NotInstalledError(NotFoundError):
    """The node doesn't have this application."""

    code = "application_not_installed"
    next_step = "install it: meroctl app install --path FILE"


class NothingDoneError(UnavailableError):
    """The node answered well, and with nothing in it."""

    code = "nothing_done"
    next_step = "look into the log of the node"


class NotConfirmedError(ConflictError):
    """What can't be undone needs a yes, and there is no terminal to ask."""

    code = "not_confirmed"
    next_step = "run it again with --yes"


class CancelledError(ConflictError):
    """Whoever was asked said no."""

    code = "cancelled"
    next_step = "nothing was changed"


class LocalOnlyError(ForbiddenError):
    """Backup, restore and recovery work on the node's own machine only."""

    code = "local_only"
    next_step = "run it on the node's own machine: merod account backup, restore or recover"


class FileProblemError(InvalidInputError):
    """A file can't be read or written as it has to be."""

    code = "file_problem"
    next_step = "check the path and its rights; a file that is there already is never overwritten"


class OtherAccountError(InvalidInputError):
    """A key log or proof is of another account than the one that was named."""

    code = "other_account"
    next_step = "get the log from the account's owner again"


class NotAllRotatedError(UnavailableError):
    """Some identities couldn't be rotated; the others were."""

    code = "not_all_rotated"
    next_step = "look at the reasons in the table, and run it again"
