"""What can go wrong with the store itself; the reasons never hold a value, a key or a path."""

from meroid.errors import ConflictError, UnavailableError


class StoreClosedError(UnavailableError):
    """The store was closed; nothing is read or written any more."""

    code = "store_closed"
    next_step = "start the node again"


class StoreFailedError(UnavailableError):
    """The database couldn't do its work: disk full, input or output error, damaged file."""

    code = "store_failed"
    next_step = "check the free space and the health of the disk, then try again"


class StoreBusyError(UnavailableError):
    """Other processes of this service wrote all the time; nothing of this change is kept."""

    code = "store_busy"
    next_step = "try again in a moment"


class DiskFullError(UnavailableError):
    """There is no room for the second file that a database is sealed anew into; nothing was changed."""

    code = "disk_full"
    next_step = "free as much space as the database takes (or raise the limit of file sizes), then try again"


class StoreLockedError(UnavailableError):
    """The key doesn't open this file: another key, or no database of ours."""

    code = "store_locked"
    next_step = "use the key store that was made with this home, or restore both from the same backup"


class StoreInUseError(UnavailableError):
    """Another process has this database open."""

    code = "store_in_use"
    next_step = "stop the other process that uses this home, or ask that one over its API"


class StoreTooNewError(UnavailableError):
    """The database was written by a newer version, which older code may not open."""

    code = "store_too_new"
    next_step = "install the version that wrote it, or restore the copy that was made before the upgrade"


class StoreConflictError(ConflictError):
    """A record is there already, or what it belongs to isn't."""

    code = "store_conflict"
    next_step = "read what is there now and decide again"
