"""Invitations that were made up, changed or cut."""

from pathlib import Path
from typing import Any

import base58
import pytest
from hypothesis import assume, given, settings, strategies as st
from tests.bad_input import ALPHABET, ID, MODULE_FIXTURES, Target
from tests.served_node import network, served_node
from tests.servers import Got
from tests.trouble import trouble_bytecode

BAD_INVITATION = ("bad_invitation_text", "bad_invitation")
"""The outer form doesn't hold, or what it carries."""


def refused(got: Got, *codes: str) -> None:
    assert got.status in {400, 403, 422}, got.text
    assert got.code in codes, got.text


@settings(max_examples=150, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_an_invitation_with_a_changed_character_is_refused(target: Target, data: st.DataObject) -> None:
    text = target.payload
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET) | st.characters(exclude_categories=["Cs"]))
    assume(other != text[at])
    got = target.post("contexts/join", {"invitationPayload": text[:at] + other + text[at + 1 :]})
    refused(got, *BAD_INVITATION, "wrong_invitee")


@settings(max_examples=200, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_an_invitation_with_a_changed_byte_is_refused(target: Target, data: st.DataObject) -> None:
    raw = bytearray(base58.b58decode(target.payload))
    protocol = range(68, 68 + int.from_bytes(raw[64:68], "little"))  # what stands there means nothing
    at = data.draw(st.integers(0, len(raw) - 1).filter(lambda place: place not in protocol))
    raw[at] ^= data.draw(st.integers(1, 255))
    got = target.post("contexts/join", {"invitationPayload": base58.b58encode(bytes(raw)).decode()})
    refused(got, *BAD_INVITATION, "wrong_invitee")


@settings(max_examples=100, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_an_invitation_that_was_cut_extended_or_mixed_is_refused(target: Target, data: st.DataObject) -> None:
    text = target.payload
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    damaged = data.draw(
        st.sampled_from([text[start:end], text[:start] + text[end:], text + text[start:end], text[::-1]])
    )
    assume(damaged != text)
    got = target.post("contexts/join", {"invitationPayload": damaged})
    refused(got, *BAD_INVITATION, "wrong_invitee", "bad_length")


@pytest.mark.parametrize("change", [" ", "\n", "\t", "\0", "=", "1"])
def test_white_space_and_padding_around_an_invitation_are_refused(unchanged: Target, change: str) -> None:
    for damaged in (unchanged.payload + change, change + unchanged.payload):
        refused(unchanged.post("contexts/join", {"invitationPayload": damaged}), "bad_invitation_text")


@settings(max_examples=200, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_a_damaged_open_invitation_is_refused(target: Target, data: st.DataObject) -> None:
    inner = dict(target.open["invitation"])
    field = data.draw(st.sampled_from(["context_id", "contract_id", "network"]))
    if field == "context_id":
        inner[field] = list(inner[field])
        inner[field][data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
    else:
        text = inner[field]
        at = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.sampled_from(ALPHABET + "-_.=+/ \n\0é"))
        assume(other != text[at])
        inner[field] = text[:at] + other + text[at + 1 :]
    body = {"invitation": {**target.open, "invitation": inner}, "newMemberPublicKey": target.idle}
    refused(target.post("contexts/join_by_open_invitation", body), *BAD_INVITATION)


def test_an_open_invitation_of_the_wrong_shape_is_422(unchanged: Target) -> None:
    inner = unchanged.open["invitation"]
    changes: list[dict[str, Any]] = [
        {"secret_salt": [1] * 31},
        {"secret_salt": [1] * 33},
        {"secret_salt": ID},
        {"context_id": [256] * 32},
        {"context_id": None},
        {"inviter_identity": []},
        {"expiration_height": -1},
        {"expiration_height": "x"},
        {"network": 5},
        {"protocol": "x" * 201},
        {"contract_id": "x" * 8193},
    ]
    bodies = [{**unchanged.open, "invitation": {**inner, **change}} for change in changes]
    bodies += [{**unchanged.open, "inviter_signature": 5}, {**unchanged.open, "inviter_signature": "x" * 257}]
    for invitation in bodies:
        body = {"invitation": invitation, "newMemberPublicKey": unchanged.idle}
        got = unchanged.post("contexts/join_by_open_invitation", body)
        assert got.status == 422, invitation
        assert str(inner["secret_salt"][:4]) not in got.text


def test_a_wrong_secret_is_refused_and_lets_nobody_in(tmp_path: Path) -> None:
    with (
        network() as joined,
        served_node(tmp_path, joined, mode="proxy", name="one") as one,
        served_node(tmp_path, joined, mode="proxy", name="two") as two,
    ):
        member = one.create(one.install(trouble_bytecode()))
        body = {"contextId": member.context, "inviterId": member.key, "validForBlocks": 600}
        made = one.data("POST", "contexts/invite_by_open_invitation", body)
        made["invitation"]["secret_salt"][0] ^= 1
        key = two.identity()
        got = two.ask("POST", "contexts/join_by_open_invitation", {"invitation": made, "newMemberPublicKey": key})
        assert got.status in {403, 503}
        assert got.code
        assert one.data("GET", f"contexts/{member.context}/identities") == {"identities": [member.key]}
        assert two.data("GET", "contexts") == {"contexts": []}


def test_an_invitation_of_the_original_is_refused(unchanged: Target) -> None:
    vector = (
        "4Mb2deLtaS7ApRdhh5ms1GuT2GtGKkKxDMakmd1C3YA2NRYwniNiijac1Nn8NYHVeWoqzvYFpmJMekAeUYKyWpq5j1QaVjpW6r5V86oo3tz6"
        "uKx1Hri82LHf8rrs2m2dyjZUZeCaeBEb"
    )
    refused(unchanged.post("contexts/join", {"invitationPayload": vector}), "bad_invitation_text")


def test_inviting_a_key_that_is_no_key_is_refused(unchanged: Target) -> None:
    body = unchanged.bodies()["contexts/invite"]
    for key in (bytes(32), b"\x01" + bytes(31), b"\xff" * 32):
        got = unchanged.post("contexts/invite", {**body, "inviteeId": base58.b58encode(key).decode()})
        assert (got.status, got.code) == (400, "bad_public_key")
