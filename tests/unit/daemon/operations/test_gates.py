"""Gates through their operations."""

import pytest

from local_daemon.protocol import errors
from tests.unit.daemon.operations.conftest import Desk


async def test_approving_the_digest_shown_lets_the_step_go_on(desk: Desk) -> None:
    run_id = await desk.run_id()
    step = await desk.submit(run_id, gates={"before": True})
    assert (await desk.call("runs.get", run_id=run_id)).state == "waiting"
    (gate,) = (await desk.call("gates.list", query={"state": "open"})).items
    assert gate == await desk.call("gates.get", gate_id=str(step.gate_id))
    answer = await desk.call("gates.decide", gate_id=gate.gate_id, body={"decision": "approve", "digest": gate.digest})
    assert (answer.gate.state, answer.gate.decided_by, answer.step.state) == ("approved", "tester", "queued")
    assert (await desk.call("runs.get", run_id=run_id)).state == "running"
    assert (await desk.call("gates.list", query={"state": "open"})).items == ()
    assert desk.scheduler.wakes == 2


async def test_approving_another_digest_changes_nothing(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id(), gates={"before": True})
    with pytest.raises(errors.StaleApproval):
        await desk.call("gates.decide", gate_id=str(step.gate_id), body={"decision": "approve", "digest": "b" * 64})
    assert await desk.call("steps.get", step_id=step.step_id) == step


async def test_a_gate_is_decided_once(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id(), gates={"before": True})
    rejected = await desk.call("gates.decide", gate_id=str(step.gate_id), body={"decision": "reject", "comment": "no"})
    assert (rejected.step.state, rejected.step.failure.kind) == ("failed", "rejected")
    with pytest.raises(errors.GateDecided):
        await desk.call("gates.decide", gate_id=str(step.gate_id), body={"decision": "reject"})
