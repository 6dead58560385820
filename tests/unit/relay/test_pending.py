"""Who waits for a call's answer gets it, and nobody else."""

from relay.calls import Answer
from relay.pending import PendingCalls

ANSWER = Answer(status=200, body={})


async def test_everybody_who_waits_for_a_call_is_told() -> None:
    pending = PendingCalls()
    with pending.expect("call_1") as one, pending.expect("call_1") as two, pending.expect("call_2") as other:
        assert pending.resolve("call_1", ANSWER)
        assert (await one, await two) == (ANSWER, ANSWER)
        assert not other.done()


async def test_nobody_is_told_twice_or_after_leaving() -> None:
    pending = PendingCalls()
    with pending.expect("call_1"):
        assert pending.resolve("call_1", ANSWER)
        assert not pending.resolve("call_1", ANSWER)
    assert not pending.is_awaited("call_1")
    assert not pending.resolve("call_1", ANSWER)
    assert pending.awaited() == []
