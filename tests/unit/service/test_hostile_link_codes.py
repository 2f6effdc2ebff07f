"""Link codes that somebody swapped, edited, cut or kept for too long."""

import base64
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from meroid.errors import InvalidInputError
from meroid.ids import ContextId, Id32
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.ledger.capability import ON_JOINING
from meroid.service.invitations import INVITATION, decode_ticket, encode_ticket
from meroid.service.link_codes import (
    LINK,
    VALID_S,
    BadLinkCodeError,
    LinkCode,
    LinkCodeExpiredError,
    LinkOffer,
    LinkOffers,
    decode_link_code,
    holder_key,
    prove_holder,
)
from meroid.service.tickets import TicketKind, issue_ticket

CONTEXT, OFFER = ContextId(b"c" * 32), Id32(b"o" * 32)
MAIN, DEVICE, OTHER = (SoftwareSigner(Secret(seed * 32)) for seed in (b"m", b"d", b"x"))
SALT = b"s" * 32


def code(salt: bytes | None = SALT, kind: TicketKind = LINK) -> LinkCode:
    ticket = issue_ticket(
        MAIN,
        kind,
        context_id=CONTEXT,
        grant=OFFER,
        sealing=b"k" * 32,
        endpoints=("tcp/192.0.2.1:7000",),
        issued_at=1_000_000,
        valid_for_s=VALID_S,
    )
    return LinkCode(ticket=ticket, salt=salt)


def fields_of(text: str) -> dict[int | str, Any]:
    encoded = text[len(LINK.prefix) :]
    value = parse_canonical(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert isinstance(value, dict)
    return value


def text_of(fields: dict[int | str, Value]) -> str:
    return LINK.prefix + base64.urlsafe_b64encode(canonical_bytes(fields)).decode().rstrip("=")


def offer(key: SoftwareSigner | None = None) -> LinkOffer:
    return LinkOffer(
        offer_id=OFFER,
        context_id=CONTEXT,
        main=MAIN.public_key,
        capabilities=ON_JOINING,
        key=None if key is None else key.public_key,
        holder=None if key is not None else holder_key(SALT),
        ends_at=2_000_000,
    )


def test_a_code_survives_its_text() -> None:
    for made in (code(), code(salt=None)):
        assert decode_link_code(made.text) == made


@pytest.mark.parametrize(
    ("field", "value"), [(1, b"x" * 32), (1, b"short"), (2, 5), (2, {}), (3, b"short"), (3, 7), (3, b""), (4, b"x")]
)
def test_an_edited_code_is_refused(field: int, value: Value) -> None:
    with pytest.raises(BadLinkCodeError):
        decode_link_code(text_of({**fields_of(code().text), field: value}))


@settings(max_examples=200)
@given(st.integers(1, 8), st.none() | st.booleans() | st.integers(0, 9) | st.binary(max_size=64) | st.lists(st.none()))
def test_any_value_in_any_field_of_the_ticket_is_refused(field: int, value: Value) -> None:
    fields = fields_of(code().text)

    with pytest.raises(InvalidInputError):
        decode_link_code(text_of({**fields, 2: {**fields[2], field: value}}))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_text_is_a_code_or_refused(noise: bytes) -> None:
    for text in (noise.decode("latin-1"), LINK.prefix + base64.urlsafe_b64encode(noise).decode()):
        with pytest.raises(InvalidInputError):
            decode_link_code(text)


def test_an_invitation_is_no_link_code_and_the_other_way_round() -> None:
    invitation, link = code(kind=INVITATION).ticket, code().ticket

    with pytest.raises(BadLinkCodeError):
        decode_link_code(LinkCode(ticket=invitation, salt=None).text)
    with pytest.raises(InvalidInputError):
        decode_ticket(CONTEXT, encode_ticket(link))


def test_a_code_is_over_after_ten_minutes_and_not_before() -> None:
    ticket = code().ticket
    ticket.check_time(1_000_000 + 600_000)

    with pytest.raises(LinkCodeExpiredError):
        ticket.check_time(1_000_000 + 600_001)


def test_a_code_does_not_show_its_secret_when_printed() -> None:
    shown = repr(code())

    assert "ssss" not in shown
    assert "192.0.2.1" not in shown


def test_an_offer_is_for_the_named_key_or_for_whom_the_holder_vouches() -> None:
    proof = prove_holder(SALT, OFFER, DEVICE.public_key)

    assert offer().is_for(DEVICE.public_key, proof)
    assert not offer().is_for(OTHER.public_key, proof)
    assert not offer().is_for(DEVICE.public_key, None)
    assert not offer().is_for(DEVICE.public_key, prove_holder(b"t" * 32, OFFER, DEVICE.public_key))
    assert not offer().is_for(DEVICE.public_key, prove_holder(SALT, Id32(b"p" * 32), DEVICE.public_key))
    assert offer(DEVICE).is_for(DEVICE.public_key, None)
    assert not offer(DEVICE).is_for(OTHER.public_key, None)
    assert not offer(DEVICE).is_for(OTHER.public_key, proof)


def test_an_offer_serves_one_key_until_it_ends() -> None:
    offers, made = LinkOffers(), offer()
    offers.add(made, 1_000_000)

    assert offers.is_open_for(made, DEVICE.public_key, 2_000_000)
    assert not offers.is_open_for(made, DEVICE.public_key, 2_000_001)
    offers.use(made, DEVICE.public_key)
    assert offers.is_open_for(made, DEVICE.public_key, 2_000_000)
    assert not offers.is_open_for(made, OTHER.public_key, 2_000_000)
    assert offers.of_context(CONTEXT, 2_000_000) == (made,)
    assert offers.of_context(CONTEXT, 2_000_001) == ()
