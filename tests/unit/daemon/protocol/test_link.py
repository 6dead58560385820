"""The sans-I/O link: which frames may come when."""

import base64
import itertools

import pytest

from local_daemon.protocol import envelopes, errors, ids, limits, link

NONCE = base64.b64encode(bytes(32)).decode()
HELLO = envelopes.Hello(versions=(1,), nonce=NONCE, audience="relay.example")
PROOF = envelopes.Proof(version=1, connector_id="c", nonce=NONCE, signature=NONCE)
WELCOME = envelopes.Welcome(epoch=1, heartbeat_s=15, silence_s=45)


def open_pair() -> tuple[link.Link, link.Link]:
    relay = link.Link(side=link.Side.RELAY, opened_at=0)
    connector = link.Link(side=link.Side.CONNECTOR, opened_at=0)
    connector.receive(relay.send(HELLO, now=1), now=1)
    relay.receive(connector.send(PROOF, now=2), now=2)
    connector.receive(relay.send(WELCOME, now=3), now=3)
    return relay, connector


def test_a_complete_handshake_opens_both_ends() -> None:
    relay, connector = open_pair()
    assert (relay.state, connector.state) == (link.LinkState.OPEN, link.LinkState.OPEN)


def test_a_request_before_the_handshake_is_refused_and_closes_the_link() -> None:
    relay = link.Link(side=link.Side.RELAY, opened_at=0)
    with pytest.raises(errors.InvalidRequest):
        relay.receive(envelopes.encode(envelopes.Heartbeat()), now=1)
    assert relay.state is link.LinkState.CLOSED


def test_only_the_relay_may_send_requests() -> None:
    relay, connector = open_pair()
    request = envelopes.Request(
        call_id=ids.new_id(ids.IdPrefix.CALL), operation="runs.list", parameters={}, deadline_ms=1
    )
    assert connector.receive(relay.send(request, now=4), now=4) == request
    with pytest.raises(errors.InvalidRequest):
        connector.send(request, now=5)


def test_every_state_side_and_frame_either_moves_by_the_table_or_is_refused() -> None:
    """Walks the whole table: nothing but goodbye leaves `open`, nothing at all leaves `closed`."""
    types = (
        "hello proof welcome advertise request response credit end cancel follow events ack heartbeat goodbye chunk"
    ).split()
    for state, side, frame_type in itertools.product(link.LinkState, link.Side, types):
        try:
            reached = link.next_state(state, side, frame_type)
        except errors.InvalidRequest:
            continue
        assert state is not link.LinkState.CLOSED
        if state is link.LinkState.OPEN:
            assert reached is (link.LinkState.CLOSED if frame_type == "goodbye" else link.LinkState.OPEN)


def test_a_link_that_carries_nothing_becomes_overdue() -> None:
    relay, _ = open_pair()
    assert not relay.is_overdue(now=2 + limits.LINK_SILENCE_S)
    assert relay.is_overdue(now=2.1 + limits.LINK_SILENCE_S)


def test_a_busy_end_owes_its_heartbeat_all_the_same() -> None:
    """What the cloud keeps of a link's life it writes at heartbeats only."""
    _, connector = open_pair()
    connector.send(envelopes.Heartbeat(), now=10)
    connector.send(envelopes.Response(call_id="call_" + "0" * 26, status=200, body={}), now=20)
    assert connector.heartbeat_due_at() == 10 + limits.HEARTBEAT_S


def test_an_unfinished_handshake_becomes_overdue_whatever_is_said() -> None:
    relay = link.Link(side=link.Side.RELAY, opened_at=0)
    relay.send(HELLO, now=limits.HANDSHAKE_S)
    assert relay.is_overdue(now=limits.HANDSHAKE_S + 0.1)


def test_a_proof_binds_audience_connector_and_both_nonces() -> None:
    other = base64.b64encode(bytes([1]) * 32).decode()
    base = {"audience": "a", "connector_id": "c", "relay_nonce": NONCE, "connector_nonce": NONCE}
    messages = {link.proof_message(**{**base, **change}) for change in (
        {}, {"audience": "b"}, {"connector_id": "d"}, {"relay_nonce": other}, {"connector_nonce": other},
    )}  # fmt: skip
    assert len(messages) == 5


@pytest.mark.parametrize("nonce", ["", "AAAA", "not base64!", NONCE + "AAAA"])
def test_a_malformed_nonce_is_refused(nonce: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        link.proof_message(audience="a", connector_id="c", relay_nonce=nonce, connector_nonce=NONCE)


def test_no_common_version_is_a_protocol_mismatch() -> None:
    with pytest.raises(errors.ProtocolMismatch):
        link.choose_version((2, 3))
