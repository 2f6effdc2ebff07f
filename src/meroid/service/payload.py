"""What a delta carries inside its encryption: artifact, events and the author's root hash."""

from dataclasses import dataclass

from meroid.errors import IntegrityError
from meroid.keys.canonical import NotCanonicalError, Value, canonical_bytes, parse_canonical
from meroid.service.ports.runtime import GuestEvent


class BadPayloadError(IntegrityError):
    """A delta's data opens, but isn't of the known form."""

    code = "bad_delta_payload"
    next_step = "update this node or the author's"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaPayload:
    """Artifact and events of one call, and the root hash (32 bytes) that its author had after it."""

    artifact: bytes
    events: tuple[GuestEvent, ...]
    root_hash: bytes

    def encoded(self) -> bytes:
        """Canonical bytes."""
        events = [[event.kind, event.data, event.handler] for event in self.events]
        return canonical_bytes({1: self.artifact, 2: events, 3: self.root_hash})

    @classmethod
    def parse(cls, data: bytes) -> "DeltaPayload":
        """Read decrypted bytes.

        Raises:
            BadPayloadError: not of this form.
        """
        try:
            fields = parse_canonical(data)
            match fields:
                case {1: bytes() as artifact, 2: list() as events, 3: bytes() as root_hash} if _has(fields, 3):
                    parsed = tuple(_event(event) for event in events)
                    return cls(artifact=artifact, events=parsed, root_hash=root_hash)
                case _:
                    pass
        except NotCanonicalError:
            pass
        raise BadPayloadError("the data of the delta is not of a known form")


def _event(value: object) -> GuestEvent:
    match value:
        case [str() as kind, bytes() as data, (None | str()) as handler]:
            return GuestEvent(kind, data, handler)
        case _:
            raise BadPayloadError("an event of the delta is not of a known form")


def _has(value: Value, fields: int) -> bool:
    return isinstance(value, dict) and len(value) == fields
