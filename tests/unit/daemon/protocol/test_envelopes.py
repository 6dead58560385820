"""Frames and the flow control of streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import envelopes, errors, ids, limits

CALL = ids.new_id(ids.IdPrefix.CALL)
HEAD = envelopes.StreamHead(media_type="text/plain")


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=2**63))
def test_a_chunk_survives_the_wire(payload: bytes, offset: int) -> None:
    chunk = envelopes.Chunk(call_id=CALL, offset=offset, payload=payload)
    assert envelopes.decode(envelopes.encode(chunk)) == chunk


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_arbitrary_bytes_are_refused_with_a_typed_error(message: str | bytes) -> None:
    try:
        envelopes.decode(message)
    except errors.InvalidRequest as error:
        assert error.code == "invalid_request"


def test_what_a_newer_side_adds_to_a_frame_is_passed_over() -> None:
    assert envelopes.decode('{"type":"heartbeat","extra":1}') == envelopes.Heartbeat()


def test_a_frame_of_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest):
        envelopes.decode('{"type":"heartbeats"}')


def test_a_frame_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(errors.PayloadTooLarge):
        envelopes.decode("{" * (limits.FRAME_BYTES + 1))


@given(st.binary(max_size=3 * limits.CHUNK_BYTES), st.integers(min_value=1, max_value=limits.CHUNK_BYTES))
def test_a_stream_arrives_whole_and_is_checked(content: bytes, piece: int) -> None:
    sender, receiver = envelopes.StreamSender(call_id=CALL), envelopes.StreamReceiver(call_id=CALL, head=HEAD)
    arrived = b""
    while sender.offset < len(content):
        size = min(piece, sender.allowance)
        arrived += receiver.feed(sender.chunk(content[sender.offset : sender.offset + size]))
        credit = receiver.consume(len(arrived) - receiver.consumed)
        if credit is not None:
            sender.grant(credit.limit)
    receiver.finish(sender.end())
    assert arrived == content


def test_a_sender_without_credit_has_no_allowance_until_the_receiver_consumes() -> None:
    sender, receiver = envelopes.StreamSender(call_id=CALL), envelopes.StreamReceiver(call_id=CALL, head=HEAD)
    while sender.allowance:
        receiver.feed(sender.chunk(bytes(sender.allowance)))
    assert sender.offset == limits.STREAM_WINDOW_BYTES
    credit = receiver.consume(sender.offset)
    assert credit is not None
    sender.grant(credit.limit)
    assert sender.allowance == limits.CHUNK_BYTES


def test_a_receiver_refuses_bytes_beyond_the_credit_it_gave() -> None:
    receiver = envelopes.StreamReceiver(call_id=CALL, head=HEAD)
    with pytest.raises(errors.InvalidRequest):
        for offset in range(0, 2 * limits.STREAM_WINDOW_BYTES, limits.CHUNK_BYTES):
            receiver.feed(envelopes.Chunk(call_id=CALL, offset=offset, payload=bytes(limits.CHUNK_BYTES)))


def test_a_damaged_stream_is_noticed_at_its_end() -> None:
    sender, receiver = envelopes.StreamSender(call_id=CALL), envelopes.StreamReceiver(call_id=CALL, head=HEAD)
    sender.chunk(b"abc")
    receiver.feed(envelopes.Chunk(call_id=CALL, offset=0, payload=b"abd"))
    with pytest.raises(errors.InvalidRequest):
        receiver.finish(sender.end())


def test_a_stream_that_ended_with_a_problem_raises_that_problem() -> None:
    sender, receiver = envelopes.StreamSender(call_id=CALL), envelopes.StreamReceiver(call_id=CALL, head=HEAD)
    with pytest.raises(errors.StorageFull):
        receiver.finish(sender.end(errors.StorageFull().problem()))
