"""Invitations that somebody swapped, edited, cut or kept for too long."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from meroid.errors import InvalidInputError
from meroid.ids import ContextId, OperationId
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.service.invitations import (
    INVITATION,
    PREFIX,
    BadInvitationError,
    InvitationExpiredError,
    decode_ticket,
    encode_ticket,
    invitation_secret,
)
from meroid.service.tickets import Ticket, door_of, issue_ticket

CONTEXT = ContextId(b"c" * 32)
INVITER, THIEF = SoftwareSigner(Secret(b"i" * 32)), SoftwareSigner(Secret(b"t" * 32))


def ticket(signer: SoftwareSigner = INVITER, valid_for_s: int | None = 60) -> Ticket:
    return issue_ticket(
        signer,
        INVITATION,
        context_id=CONTEXT,
        grant=OperationId(b"g" * 32),
        sealing=b"s" * 32,
        endpoints=("tcp/192.0.2.1:7000",),
        issued_at=1_000_000,
        valid_for_s=valid_for_s,
    )


def fields_of(text: str) -> dict[int | str, Value]:
    encoded = text[len(PREFIX) :]
    value = parse_canonical(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert isinstance(value, dict)
    return value


def text_of(fields: dict[int | str, Value]) -> str:
    return PREFIX + base64.urlsafe_b64encode(canonical_bytes(fields)).decode().rstrip("=")


def test_a_ticket_survives_its_text() -> None:
    for made in (ticket(), ticket(valid_for_s=None)):
        assert decode_ticket(CONTEXT, encode_ticket(made)) == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (1, b"h" * 32),
        (2, bytes(THIEF.public_key)),
        (3, b"x" * 32),
        (4, ["tcp/198.51.100.1:1"]),
        (4, []),
        (5, 2_000_000),
        (6, 6_000_000),
        (7, bytes(64)),
        (7, b""),
    ],
)
def test_an_edited_ticket_is_refused(field: int, value: Value) -> None:
    fields = fields_of(encode_ticket(ticket()))

    with pytest.raises(BadInvitationError):
        decode_ticket(CONTEXT, text_of({**fields, field: value}))


def test_a_ticket_without_its_time_is_refused() -> None:
    fields = fields_of(encode_ticket(ticket()))
    del fields[6]

    with pytest.raises(BadInvitationError):
        decode_ticket(CONTEXT, text_of(fields))


def test_a_ticket_of_another_context_is_refused() -> None:
    with pytest.raises(BadInvitationError):
        decode_ticket(ContextId(b"x" * 32), encode_ticket(ticket()))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_text_is_a_ticket_or_refused(noise: bytes) -> None:
    for text in (noise.decode("latin-1"), PREFIX + base64.urlsafe_b64encode(noise).decode()):
        with pytest.raises(InvalidInputError):
            decode_ticket(CONTEXT, text)


@settings(max_examples=200)
@given(st.integers(1, 8), st.none() | st.booleans() | st.integers(0, 9) | st.binary(max_size=64) | st.lists(st.none()))
def test_any_value_in_any_field_is_refused(field: int, value: Value) -> None:
    fields = fields_of(encode_ticket(ticket()))

    with pytest.raises(InvalidInputError):
        decode_ticket(CONTEXT, text_of({**fields, field: value}))


def test_a_ticket_is_over_after_its_seconds_and_not_before() -> None:
    ticket().check_time(1_000_000 + 60_000)
    ticket(valid_for_s=None).check_time(10**15)
    with pytest.raises(InvitationExpiredError):
        ticket().check_time(1_000_000 + 60_001)


def test_a_ticket_shows_neither_addresses_nor_signature_when_printed() -> None:
    shown = repr(ticket())

    assert "192.0.2.1" not in shown
    assert "signature" not in shown


def test_another_salt_is_another_secret() -> None:
    assert invitation_secret(bytes(32)).public_key != invitation_secret(b"\x01" + bytes(31)).public_key


def test_doors_of_invitations_share_nothing() -> None:
    one, other = door_of(OperationId(b"1" * 32)), door_of(OperationId(b"2" * 32))

    assert len({one.topic, one.handle, other.topic, other.handle}) == 4


def test_a_signature_of_another_key_does_not_make_a_ticket() -> None:
    forged = replace(ticket(THIEF), inviter=INVITER.public_key)

    with pytest.raises(BadInvitationError):
        decode_ticket(CONTEXT, encode_ticket(forged))
