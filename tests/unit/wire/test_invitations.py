"""The text for a named key and the object for everybody (`wire/node.md` §1.4)."""

import json
from typing import Any

import base58
import pytest
from hypothesis import given, strategies as st

from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.wire.invitations import (
    BadInvitationTextError,
    InvitationText,
    JoinOpenlyBody,
    OpenInvitationData,
    SignedOpenInvitation,
    check_network,
    decode_invitation,
    encode_invitation,
    expiration_height,
)
from meroid.wire.json_body import WrongShapeError, decode_json

CONTEXT = ContextId(b"\x01" * 32)
INVITEE = PublicKey(b"\x02" * 32)
# From the wire's specification: context 32 x 01, invitee 32 x 02, `near`, `testnet`, `calimero.testnet`.
VECTOR = (
    "4Mb2deLtaS7ApRdhh5ms1GuT2GtGKkKxDMakmd1C3YA2NRYwniNiijac1Nn8NYHVeWoqzvYFpmJMekAeUYKyWpq5j1QaVjpW6r5V86oo3tz6"
    "uKx1Hri82LHf8rrs2m2dyjZUZeCaeBEb"
)


def invitation(protocol: str = "near", network: str = "testnet", contract: str = "calimero.testnet") -> InvitationText:
    return InvitationText(context_id=CONTEXT, invitee=INVITEE, protocol=protocol, network=network, contract=contract)


def test_the_known_answer_of_the_wire() -> None:
    assert str(CONTEXT) == "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"
    assert encode_invitation(invitation()) == VECTOR
    assert decode_invitation(VECTOR) == invitation()


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=300))
def test_what_is_written_is_read_again(protocol: str, network: str, contract: str) -> None:
    written = invitation(protocol, network, contract)
    assert decode_invitation(encode_invitation(written)) == written


@given(st.text(max_size=300) | st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=300))
def test_any_text_is_a_whole_invitation_or_refused(text: str) -> None:
    try:
        read = decode_invitation(text)
    except BadInvitationTextError:
        return
    assert encode_invitation(read) == text


RAW = base58.b58decode(VECTOR)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        RAW[:31],
        RAW[:64],
        RAW[:66],
        RAW[:-1],
        RAW + b"\x00",
        RAW[:64] + b"\xff\xff\xff\xff" + RAW[68:],
        RAW[:64] + (5).to_bytes(4, "little") + RAW[68:],
        RAW[:64] + (1).to_bytes(4, "little") + b"\xff" + RAW[72:],
    ],
    ids=len,
)
def test_bytes_that_are_short_long_or_no_text_are_refused(raw: bytes) -> None:
    with pytest.raises(BadInvitationTextError):
        decode_invitation(base58.b58encode(raw).decode())


@pytest.mark.parametrize("text", [f"{VECTOR} ", f" {VECTOR}", f"{VECTOR}\n", VECTOR.replace("4", "0"), "1" * 8193, "é"])
def test_texts_with_anything_around_them_are_refused(text: str) -> None:
    with pytest.raises(BadInvitationTextError):
        decode_invitation(text)


def test_another_network_is_refused() -> None:
    check_network("meroid")
    for other in ("", "testnet", "Meroid", "meroid "):
        with pytest.raises(BadInvitationTextError):
            check_network(other)


def test_neither_form_stands_in_a_repr() -> None:
    assert "calimero.testnet" not in repr(invitation())
    data = opened()
    assert "7, 7" not in repr(data)
    assert "7, 7" not in repr(SignedOpenInvitation(invitation=data, inviter_signature="00"))


def opened() -> OpenInvitationData:
    return OpenInvitationData(
        inviter_identity=[*INVITEE],
        context_id=[*CONTEXT],
        expiration_height=expiration_height(5),
        secret_salt=[7] * 32,
        protocol="near",
        network="meroid",
        contract_id="m1.x",
    )


def body(**changes: Any) -> bytes:
    inner = {
        "inviter_identity": [2] * 32,
        "context_id": [1] * 32,
        "expiration_height": 1_000_000_004,
        "secret_salt": [7] * 32,
        "protocol": "near",
        "network": "meroid",
        "contract_id": "m1.x",
    }
    invitation = {"invitation": {**inner, **changes}, "inviter_signature": "ab"}
    return json.dumps({"invitation": invitation, "newMemberPublicKey": str(INVITEE)}).encode()


def test_an_open_invitation_is_read_as_it_was_written() -> None:
    assert expiration_height(0) == 999_999_999
    read = decode_json(body(), JoinOpenlyBody)
    assert read.invitation.invitation == opened()
    assert read.new_member_public_key == INVITEE


@pytest.mark.parametrize(
    "change",
    [
        {"secret_salt": [7] * 31},
        {"secret_salt": [7] * 33},
        {"secret_salt": [256] + [7] * 31},
        {"context_id": str(CONTEXT)},
        {"inviter_identity": None},
        {"expiration_height": -1},
        {"expiration_height": 1.5},
        {"contract_id": "x" * 8193},
        {"protocol": None},
    ],
)
def test_an_open_invitation_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WrongShapeError) as refused:
        decode_json(body(**change), JoinOpenlyBody)
    assert refused.value.field.startswith("invitation.invitation.")
    assert "7, 7" not in refused.value.reason
