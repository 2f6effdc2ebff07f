"""Epoch keys: who can open what, and what binds it."""

import pytest
from hypothesis import given, strategies as st
from tests.cast import Person

from meroid.ids import ContextId, EpochId
from meroid.keys.sealing import SealBrokenError
from meroid.ledger.epoch import (
    EnvelopeSealer,
    compose_rekey,
    epoch_id,
    handle,
    is_key_of,
    new_epoch_key,
    open_data,
    open_envelope,
    open_previous,
    open_wrap,
    seal_data,
    topic,
)
from meroid.ledger.operation import Rekey

CONTEXT, OTHER = ContextId(b"c" * 32), ContextId(b"o" * 32)
KEY, OLD = b"k" * 32, b"p" * 32
ANN, BOB = Person("ann"), Person("bob")


def rekey() -> Rekey:
    return compose_rekey(
        context=CONTEXT,
        key=KEY,
        author=ANN.key,
        seq=3,
        recipients=[(ANN.key, ANN.sealing.public), (BOB.key, BOB.sealing.public)],
        previous=(epoch_id(CONTEXT, OLD), OLD),
    )


def opened(body: Rekey, person: Person, **other: object) -> bytes | None:
    facts = {"context": CONTEXT, "author": ANN.key, "seq": 3, "recipient": person.key, "sealing": person.sealing}
    return open_wrap(rekey=body, **{**facts, **other})  # type: ignore[arg-type]  # as the facts


def test_every_recipient_opens_its_wrap_and_nobody_elses() -> None:
    body = rekey()

    assert opened(body, ANN) == opened(body, BOB) == KEY
    assert opened(body, BOB, sealing=ANN.sealing) is None
    assert opened(body, Person("eve")) is None


def test_a_wrap_is_bound_to_context_operation_and_recipient() -> None:
    body = rekey()
    swapped = Rekey(
        epoch=body.epoch,
        wraps=tuple((key, sealed) for (key, _), (_, sealed) in zip(body.wraps, reversed(body.wraps), strict=True)),
        previous=None,
    )

    assert opened(body, BOB, context=OTHER) is None
    assert opened(body, BOB, author=BOB.key) is None
    assert opened(body, BOB, seq=4) is None
    assert opened(swapped, BOB, sealing=ANN.sealing) is None


def test_nobody_gives_different_members_different_keys_under_one_epoch() -> None:
    body = rekey()
    lie = compose_rekey(
        context=CONTEXT,
        key=b"x" * 32,
        author=ANN.key,
        seq=3,
        recipients=[(BOB.key, BOB.sealing.public)],
        previous=None,
    )
    equivocation = Rekey(epoch=body.epoch, wraps=lie.wraps, previous=None)

    assert opened(equivocation, BOB) is None


def test_the_epoch_before_opens_with_the_new_key_only_and_is_checked() -> None:
    body = rekey()
    assert body.previous is not None
    forged = Rekey(epoch=body.epoch, wraps=body.wraps, previous=(EpochId(b"f" * 32), body.previous[1]))

    assert open_previous(CONTEXT, KEY, body) == (epoch_id(CONTEXT, OLD), OLD)
    assert open_previous(CONTEXT, OLD, body) is None
    assert open_previous(OTHER, KEY, body) is None
    assert open_previous(CONTEXT, KEY, forged) is None


@given(st.binary(max_size=40))
def test_only_the_key_itself_is_the_key_of_an_epoch(other: bytes) -> None:
    assert is_key_of(CONTEXT, epoch_id(CONTEXT, KEY), KEY)
    assert not is_key_of(CONTEXT, epoch_id(CONTEXT, KEY), other)


def test_topics_handles_and_epoch_ids_of_contexts_share_nothing() -> None:
    assert len({topic(CONTEXT, KEY), topic(OTHER, KEY), topic(CONTEXT, OLD)}) == 3
    assert len({handle(CONTEXT, KEY, ANN.key), handle(CONTEXT, KEY, BOB.key), handle(OTHER, KEY, ANN.key)}) == 3
    assert epoch_id(CONTEXT, KEY) != epoch_id(OTHER, KEY)


@pytest.mark.parametrize("changed", ["context", "key", "author", "seq", "nonce", "ciphertext"])
def test_data_opens_as_what_it_was_sealed_only(changed: str) -> None:
    nonce, ciphertext = seal_data(CONTEXT, KEY, ANN.key, 5, b"data")
    right = {
        "context": CONTEXT,
        "key": KEY,
        "author": ANN.key,
        "seq": 5,
        "nonce": nonce,
        "ciphertext": ciphertext,
    }
    wrong = {
        "context": OTHER,
        "key": OLD,
        "author": BOB.key,
        "seq": 6,
        "nonce": bytes(12),
        "ciphertext": ciphertext[:-1],
    }

    assert open_data(**right) == b"data"  # type: ignore[arg-type]  # as named
    with pytest.raises(SealBrokenError):
        open_data(**{**right, changed: wrong[changed]})  # type: ignore[arg-type]  # as named


def test_no_key_is_used_twice_with_one_nonce_in_envelopes() -> None:
    sealers = [EnvelopeSealer(CONTEXT, KEY) for _ in range(20)]
    sealed = [sealer.seal(b"same") for sealer in sealers for _ in range(20)]

    assert len({each[:28] for each in sealed}) == len(sealed)
    assert all(open_envelope(CONTEXT, KEY, each) == b"same" for each in sealed)


@given(st.binary(max_size=80))
def test_what_no_member_sealed_is_no_envelope(noise: bytes) -> None:
    with pytest.raises(SealBrokenError):
        open_envelope(CONTEXT, KEY, noise)


def test_an_envelope_of_another_context_or_epoch_does_not_open() -> None:
    sealed = EnvelopeSealer(CONTEXT, KEY).seal(b"message")

    for context, key in ((OTHER, KEY), (CONTEXT, OLD)):
        with pytest.raises(SealBrokenError):
            open_envelope(context, key, sealed)


def test_epoch_keys_are_random() -> None:
    assert len({new_epoch_key() for _ in range(50)}) == 50
