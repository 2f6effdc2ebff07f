"""What a member may do in a context (`semantics.md` §1)."""

from enum import StrEnum


class Capability(StrEnum):
    """A right of a member; the number of each in the signed encoding stands in `codec`."""

    READ = "read"
    WRITE = "write"
    INVITE = "invite"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_APPLICATION = "manage_application"
    PROPOSE = "propose"


ALL = frozenset(Capability)
ON_JOINING = frozenset({Capability.READ, Capability.WRITE})
