"""Bodies and answers of `/admin-api/*`, spelled as the wire has them."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meroid import limits
from meroid.ids import ApplicationId, ContextId, Id32
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability
from meroid.wire import admin_api as shapes
from meroid.wire.envelope import encode_json
from meroid.wire.json_body import FieldRefusedError, WrongShapeError, decode_json

ONES = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"
TWOS = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR"


def read(shape: Any, **fields: Any) -> Any:
    return decode_json(json.dumps(fields).encode(), shape)


def test_bodies_are_read_into_typed_values() -> None:
    body = read(shapes.CreateContextBody, protocol="near", applicationId=ONES, initializationParams=[1, 255])
    assert isinstance(body.application_id, ApplicationId)
    assert bytes(body.application_id) == b"\x01" * 32
    assert (body.initialization_params, body.context_seed) == ([1, 255], None)
    seeded = read(
        shapes.CreateContextBody, protocol="x", applicationId=ONES, initializationParams=[], contextSeed=TWOS, more=1
    )
    assert seeded.context_seed == Id32(b"\x02" * 32)
    invite = read(shapes.InviteBody, contextId=ONES, inviterId=TWOS, inviteeId=ONES)
    assert (type(invite.context_id), type(invite.inviter_id)) == (ContextId, PublicKey)


def test_the_target_of_an_alias_has_the_name_of_its_scope() -> None:
    for shape, field, kind in (
        (shapes.ContextAliasBody, "contextId", ContextId),
        (shapes.ApplicationAliasBody, "applicationId", ApplicationId),
        (shapes.IdentityAliasBody, "identity", PublicKey),
    ):
        body = read(shape, alias="a", **{field: ONES})
        assert type(body.target) is kind
        with pytest.raises(WrongShapeError) as missing:
            read(shape, alias="a", target=ONES)
        assert missing.value.field == field


def test_a_text_that_is_no_id_is_refused_with_the_code_of_ids_and_its_place() -> None:
    pairs = [[ONES, "Read"], [ONES[:-1], "Read"]]
    with pytest.raises(FieldRefusedError) as refused:
        read(shapes.CapabilitiesBody, capabilities=pairs, signer_id=ONES)
    assert (refused.value.code, refused.value.status) == ("bad_id", 422)
    assert refused.value.field == "capabilities[1][0]"
    with pytest.raises(WrongShapeError) as wrong:
        read(shapes.CapabilitiesBody, capabilities=pairs[:1], signer_id=5)
    assert (wrong.value.code, wrong.value.field) == ("bad_shape", "signer_id")


@given(st.text(max_size=60))
def test_any_text_is_an_id_that_prints_the_same_or_is_refused(text: str) -> None:
    try:
        body = read(shapes.ContextAliasBody, alias="a", contextId=text)
    except FieldRefusedError:
        return
    assert str(body.target) == text


def test_metadata_is_bounded_because_every_context_carries_it() -> None:
    most = limits.APPLICATION_METADATA.value
    assert len(read(shapes.InstallFileBody, path="/a", metadata=[0] * most).metadata) == most
    with pytest.raises(WrongShapeError):
        read(shapes.InstallFileBody, path="/a", metadata=[0] * (most + 1))


def test_an_invitation_never_stands_in_a_repr() -> None:
    assert "abcdef" not in repr(read(shapes.JoinBody, invitationPayload="abcdef"))


def test_answers_are_camel_case_and_leave_out_no_heads() -> None:
    bare = shapes.ContextData(id="i", application_id="a", root_hash="r")
    assert encode_json(bare) == b'{"id":"i","applicationId":"a","rootHash":"r"}'
    heads = shapes.ContextData(id="i", application_id="a", root_hash="r", dag_heads=[[1, 2]])
    assert json.loads(encode_json(heads))["dagHeads"] == [[1, 2]]
    member = shapes.MemberData(public_key="k", capabilities=["Read"], rank=[], owned=False)
    assert encode_json(member) == b'{"publicKey":"k","capabilities":["Read"],"rank":[],"owned":false}'


def test_the_three_names_of_the_wire_and_our_own_are_known() -> None:
    assert shapes.capabilities_named("ManageMembers") == (Capability.MANAGE_MEMBERS, Capability.INVITE)
    assert shapes.capabilities_named("ManageApplication") == (Capability.MANAGE_APPLICATION,)
    assert shapes.capabilities_named("Proxy") == shapes.capabilities_named("Propose") == (Capability.PROPOSE,)
    for name in ("Member", "read", "managemembers", "", "Read "):
        with pytest.raises(shapes.UnknownCapabilityError):
            shapes.capabilities_named(name)


def test_nothing_that_a_member_holds_is_hidden() -> None:
    for capability in Capability:
        (shown,) = shapes.names_of({capability})
        assert capability in shapes.capabilities_named(shown)
    assert shapes.names_of([]) == []
    assert set(shapes.names_of(Capability)) == {
        "ManageMembers",
        "ManageApplication",
        "Proxy",
        "Read",
        "Write",
        "Invite",
    }
