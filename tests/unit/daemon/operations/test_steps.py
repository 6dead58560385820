"""Steps through their operations."""

import asyncio
import dataclasses
from functools import partial
from typing import Any

import pytest

from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import errors, ids, messages, origins, specs
from local_daemon.protocol.ids import RepositoryId, RunId, StepId
from local_daemon.protocol.messages import StepView
from local_daemon.protocol.states import FailureKind, StepEvent
from local_daemon.runs import services as runs
from local_daemon.steps import services as steps
from local_daemon.storage.transaction import Transaction
from tests.unit.daemon.operations.conftest import Desk

FAILURE = specs.Failure(kind=FailureKind.EXECUTOR, detail="it broke")


async def _happen(desk: Desk, step_id: str, *events: StepEvent) -> None:
    def apply(tx: Transaction) -> None:
        for event in events:
            moved = steps.step_advance(tx, step_id=StepId(step_id), event=event, failure=FAILURE)
            runs.run_refresh(tx, run_id=moved.run_id)

    await desk.context.database.write("test", apply)


async def test_a_submitted_step_wakes_the_scheduler_and_keeps_its_task(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id(), constraints=["be brief"])
    assert (step.state, desk.scheduler.wakes) == ("queued", 1)
    task = await desk.call("steps.task", step_id=step.step_id)
    assert (task.task.constraints, task.digest) == (("be brief",), step.task_digest)
    assert (await desk.call("steps.get", step_id=step.step_id)) == step


@pytest.mark.parametrize("name", ["steps.submit", "manifests.submit"])
async def test_what_a_task_was_made_of_is_told_by_nobody_from_afar(desk: Desk, name: str) -> None:
    task = {"goal": "g", "executor": "fake"}
    told = origins.provenance_of("mine", source=origins.Source.TASK, form=origins.Form.YAML).model_dump()
    body: dict[str, dict[str, Any]] = {
        "steps.submit": {"task": task},
        "manifests.submit": {"objective": "o", "steps": [{"name": "a", "task": task}]},
    }
    parameters: dict[str, Any] = {"run_id": await desk.run_id()} if name == "steps.submit" else {}
    submit = partial(desk.call, name, body={**body[name], "provenance": told}, **parameters)
    with pytest.raises(errors.InvalidRequest) as refused:
        await submit(call_id=ids.new_id(ids.IdPrefix.CALL))
    assert [each["field"] for each in refused.value.attributes["errors"]] == ["provenance"]
    await submit()
    kept = desk.context.database.read(lambda conn: conn.execute("SELECT provenance FROM submissions").fetchall())
    assert ["mine" in row["provenance"] for row in kept] == [True]


async def test_an_executor_this_machine_does_not_have_is_refused_and_the_known_named(desk: Desk) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        await desk.submit(await desk.run_id(), executor="nobody")
    assert refused.value.attributes["executors"] == ["fake"]


async def test_of_executors_that_are_not_ready_the_refusal_says_why(desk: Desk) -> None:
    gone = messages.ExecutorView(name="claude", is_available=False, reason="claude is not on the daemon's PATH")
    broken = messages.ExecutorView(name="codex", is_available=False, reason="codex: " + "it fell over, " * 50)
    view = desk.context.instance_view()
    seen = view.model_copy(update={"executors": (*view.executors, gone, broken)})
    desk.context = dataclasses.replace(desk.context, instance_view=lambda: seen)
    with pytest.raises(errors.InvalidRequest) as refused:
        await desk.submit(await desk.run_id(), executor="nobody")
    assert refused.value.attributes["executors"] == ["fake"]
    assert "it has fake. Not ready here: claude (claude is not on the daemon's PATH), codex (" in str(refused.value)
    assert len(str(refused.value)) < 250


async def test_an_executor_to_fall_back_to_is_one_of_this_machine_too(desk: Desk) -> None:
    retry = {"max_attempts": 2, "on": ["executor"], "fallback": [{"executor": "nobody"}]}
    with pytest.raises(errors.InvalidRequest, match=r"retry\.fallback\.executor"):
        await desk.submit(await desk.run_id(), retry=retry)


async def test_who_asked_is_on_the_step_and_in_its_events(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    assert step.submitted_by == "tester"
    cancelled = await desk.call("steps.cancel", step_id=step.step_id, body={"reason": "enough"})
    assert cancelled.step.cancelled_by == "tester"
    retried = await desk.call("steps.retry", step_id=step.step_id)
    assert (retried.step.retried_by, retried.step.cancelled_by) == ("tester", None)
    await _happen(desk, step.step_id, StepEvent.LEASED, StepEvent.LOST)
    resolved = await desk.call("steps.resolve", step_id=step.step_id, body={"resolution": "failed"})
    assert resolved.step.resolved_by == "tester"
    told = await desk.call("events.list", query={"limit": 200})
    views = [event.data["step"] for event in told.items if "step" in event.data]
    for asked in ("submitted_by", "cancelled_by", "retried_by", "resolved_by"):
        assert "tester" in [view[asked] for view in views], asked


async def test_what_the_daemon_does_by_itself_nobody_asked_for(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    await _happen(desk, step.step_id, StepEvent.LEASED)
    await desk.call("steps.cancel", step_id=step.step_id)
    await _happen(desk, step.step_id, StepEvent.CANCELLED)
    seen = await desk.call("steps.get", step_id=step.step_id)
    assert (seen.cancelled_by, seen.retried_by, seen.resolved_by) == ("tester", None, None)


async def test_a_hundred_submissions_at_once_are_a_hundred_steps(desk: Desk) -> None:
    run_id = await desk.run_id()
    submitted = await asyncio.gather(*(desk.submit(run_id) for _ in range(100)))
    listed = await desk.call("steps.list", run_id=run_id, query={"limit": 200})
    assert {step.step_id for step in listed.items} == {step.step_id for step in submitted}
    assert len(listed.items) == 100


async def test_a_wait_is_answered_by_the_commit_that_settles_the_step(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    waiting = asyncio.ensure_future(desk.call("steps.wait", step_id=step.step_id, query={"timeout_s": 30}))
    await asyncio.sleep(0)
    await _happen(desk, step.step_id, StepEvent.LEASED)
    assert not waiting.done()
    await _happen(desk, step.step_id, StepEvent.FAILED)
    answer = await waiting
    assert (answer.step.state, answer.timed_out) == ("failed", False)


async def test_a_wait_whose_time_is_over_says_so(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    answer = await desk.call("steps.wait", step_id=step.step_id, query={"timeout_s": 0})
    assert (answer.step.state, answer.timed_out) == ("queued", True)


async def test_a_step_that_waits_on_a_gate_is_not_waited_for(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id(), gates={"before": True})
    answer = await desk.call("steps.wait", step_id=step.step_id, query={"timeout_s": 30})
    assert (answer.step.state, answer.timed_out) == ("waiting", False)


async def test_cancelling_a_step_at_work_tells_the_scheduler(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    await _happen(desk, step.step_id, StepEvent.LEASED, StepEvent.RELEASED)
    answer = await desk.call("steps.cancel", step_id=step.step_id, body={"reason": "enough"})
    assert (answer.step.state, desk.scheduler.cancelled) == ("running", [step.step_id])


async def test_a_retry_reopens_a_failed_run(desk: Desk) -> None:
    run_id = await desk.run_id()
    step = await desk.submit(run_id)
    await desk.call("runs.close", run_id=run_id)
    await _happen(desk, step.step_id, StepEvent.FAILED)
    assert (await desk.call("runs.get", run_id=run_id)).state == "failed"
    assert (await desk.call("steps.retry", step_id=step.step_id)).step.state == "queued"
    assert (await desk.call("runs.get", run_id=run_id)).state == "running"


async def test_a_person_accepts_a_step_that_needs_attention(desk: Desk) -> None:
    run_id = await desk.run_id()
    step = await desk.submit(run_id)
    await desk.call("runs.close", run_id=run_id)
    await _happen(desk, step.step_id, StepEvent.LEASED, StepEvent.LOST)
    answer = await desk.call("steps.resolve", step_id=step.step_id, body={"resolution": "accept", "comment": "ok"})
    assert (answer.step.state, answer.step.warnings) == ("completed", ("resolved as accept by a person: ok",))
    assert (await desk.call("runs.get", run_id=run_id)).state == "completed"


async def test_a_result_can_be_read_at_any_time(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    result = await desk.call("steps.result", step_id=step.step_id)
    assert (result.state, result.attempt_id) == ("queued", None)


async def test_attempts_come_in_pages(desk: Desk) -> None:
    step = await desk.submit(await desk.run_id())
    await desk.context.database.write("test", partial(_lease, step))
    await _happen(desk, step.step_id, StepEvent.LEASED, StepEvent.RETRY, StepEvent.DUE)
    leased = await desk.context.database.write("test", partial(_lease, step))
    first = await desk.call("attempts.list", step_id=step.step_id, query={"limit": 1})
    second = await desk.call("attempts.list", step_id=step.step_id, query={"limit": 1, "cursor": first.next_cursor})
    assert [each.number for each in (*first.items, *second.items)] == [1, 2]
    assert (second.items[0].attempt_id, second.items[0].state) == (leased.attempt_id, "leased")
    assert second.next_cursor is None


@pytest.mark.parametrize("name", ["attempts.list", "validations.list", "artifacts.list", "applications.list"])
async def test_what_a_step_holds_is_listed_from_a_cursor_of_ours_only(desk: Desk, name: str) -> None:
    step = await desk.submit(await desk.run_id())
    page = await desk.call(name, step_id=step.step_id)
    assert (page.items, page.next_cursor) == ((), None)
    with pytest.raises(errors.InvalidRequest, match="cursor"):
        await desk.call(name, step_id=step.step_id, query={"cursor": "elsewhere"})


def _lease(step: StepView, tx: Transaction) -> Attempt:
    return attempts.attempt_lease(
        tx,
        step_id=StepId(step.step_id),
        run_id=RunId(step.run_id),
        repository_id=RepositoryId(step.repository_id),
        executor="fake",
        epoch=1,
    )
