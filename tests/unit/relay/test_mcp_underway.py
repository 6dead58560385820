import asyncio
from typing import Any

import pytest

from relay.mcp_server.underway import Asking, Underway, asking_of, called_off_by

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {}}
STOP = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}


async def until_called_off(underway: Underway, asking: Asking | None, begun: asyncio.Event) -> bool:
    with underway.entered(asking) as scope:
        begun.set()
        await asyncio.Event().wait()
    return scope.cancelled_caught


async def test_a_request_ends_when_its_session_calls_it_off() -> None:
    underway, begun = Underway(), asyncio.Event()
    answering = asyncio.create_task(until_called_off(underway, asking_of(CALL, caller_id="me", session="one"), begun))
    await begun.wait()
    for caller, session, request_id in (("you", "one", 7), ("me", "two", 7), ("me", "one", 8), ("me", "one", "7")):
        other = {**STOP, "params": {"requestId": request_id}}
        underway.call_off(called_off_by(other, caller_id=caller, session=session))
    await asyncio.sleep(0)
    assert not answering.done(), "nobody else's message ends it"
    underway.call_off(called_off_by(STOP, caller_id="me", session="one"))
    assert await answering is True


async def test_what_has_ended_is_not_called_off_any_more() -> None:
    underway = Underway()
    with underway.entered(asking_of(CALL, caller_id="me", session="one")) as scope:
        pass
    underway.call_off(called_off_by(STOP, caller_id="me", session="one"))
    assert not scope.cancel_called


async def test_without_a_session_nothing_can_be_told_apart_so_nothing_is_called_off() -> None:
    assert asking_of(CALL, caller_id="me", session=None) is None
    assert called_off_by(STOP, caller_id="me", session=None) is None
    Underway().call_off(None)


async def test_whoever_is_gone_takes_their_request_along() -> None:
    underway, begun = Underway(), asyncio.Event()
    answering = asyncio.create_task(until_called_off(underway, None, begun))
    await begun.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering


@pytest.mark.parametrize(
    "message",
    [
        {},
        {**STOP, "id": 1},
        {**STOP, "params": None},
        {**STOP, "params": {}},
        {**STOP, "params": {"requestId": {}}},
        {**STOP, "method": "notifications/progress"},
    ],
)
def test_what_calls_nothing_off_does_not(message: dict[str, Any]) -> None:
    assert called_off_by(message, caller_id="me", session="one") is None


@pytest.mark.parametrize("session", ["", "a b", "x" * 129, "a\n"])
def test_a_session_has_a_name_that_can_be_one(session: str) -> None:
    assert asking_of(CALL, caller_id="me", session=session) is None
