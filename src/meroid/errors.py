"""The error tree: every refusal of meroid is one of these, with a code, a reason and a next step.

- MeroidError
  - InvalidInputError: what came in is malformed, too large or of the wrong kind
    - IntegrityError: well-formed, but a signature, hash or encoding doesn't hold
  - UnauthenticatedError: nobody proved who is asking
  - ForbiddenError: who asks is known, and may not
  - NotFoundError: what was named doesn't exist here
  - ConflictError: it clashes with what is here already
  - ThrottledError: too much or too often; carries the delay
  - UnavailableError: something that is needed can't be reached now

A leaf class stands in the room that raises it, one class per thing that a caller can do
differently. Its `code` is stable: it never changes its meaning and is never reused.
"""

from typing import ClassVar


class MeroidError(Exception):
    """A refusal that says why and what to do next.

    Attributes:
        code: stable, lower case with underscores.
        reason: one sentence for a person; never holds a secret.
        next_step: what the caller can do about it.
    """

    code: ClassVar[str] = "internal"
    next_step: str = "report this with the log of the node"

    def __init__(self, reason: str, *, next_step: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        if next_step is not None:
            self.next_step = next_step


class InvalidInputError(MeroidError):
    """What came in is malformed, too large or of the wrong kind."""

    code = "invalid_input"
    next_step = "correct the input and try again"


class IntegrityError(InvalidInputError):
    """Well-formed, but a signature, hash or encoding doesn't hold."""

    code = "integrity"
    next_step = "get the data again from its author"


class UnauthenticatedError(MeroidError):
    """Nobody proved who is asking."""

    code = "unauthenticated"
    next_step = "log in and send the token"


class ForbiddenError(MeroidError):
    """Who asks is known, and may not."""

    code = "forbidden"
    next_step = "ask someone with the right to do it"


class NotFoundError(MeroidError):
    """What was named doesn't exist here."""

    code = "not_found"
    next_step = "check the id or alias"


class ConflictError(MeroidError):
    """It clashes with what is here already."""

    code = "conflict"
    next_step = "look at what is there and choose another"


class ThrottledError(MeroidError):
    """Too much or too often.

    Attributes:
        retry_after_s: whole seconds to wait.
    """

    code = "throttled"
    next_step = "wait and try again"

    def __init__(self, reason: str, *, retry_after_s: int, next_step: str | None = None) -> None:
        super().__init__(reason, next_step=next_step)
        self.retry_after_s = retry_after_s


class UnavailableError(MeroidError):
    """Something that is needed can't be reached now."""

    code = "unavailable"
    next_step = "try again in a moment"
