"""The same call is answered the same way; another body under its id is refused."""

import asyncio
from typing import Any

import pytest

from local_daemon.protocol import errors, ids, limits, specs, wire
from tests.unit.daemon.operations.conftest import Desk


def _call_id() -> str:
    return ids.new_id(ids.IdPrefix.CALL)


async def test_the_same_call_twice_creates_one_run_and_answers_the_same(desk: Desk) -> None:
    call_id = _call_id()
    first = await desk.call("runs.create", body={"objective": "o"}, call_id=call_id)
    again = await desk.call("runs.create", body={"objective": "o"}, call_id=call_id)
    assert first == again
    assert again.created
    assert len((await desk.call("runs.list")).items) == 1


async def test_the_same_call_many_times_at_once_creates_one_step(desk: Desk) -> None:
    run_id, call_id = await desk.run_id(), _call_id()
    body = {"task": {"goal": "g", "executor": "fake"}}
    answers = await asyncio.gather(
        *(desk.call("steps.submit", run_id=run_id, body=body, call_id=call_id) for _ in range(50))
    )
    assert len({answer.step.step_id for answer in answers}) == 1
    assert len((await desk.call("steps.list", run_id=run_id)).items) == 1


async def test_another_body_under_the_same_id_is_a_conflict(desk: Desk) -> None:
    call_id = _call_id()
    await desk.call("runs.create", body={"objective": "o"}, call_id=call_id)
    with pytest.raises(errors.IdempotencyConflict):
        await desk.call("runs.create", body={"objective": "other"}, call_id=call_id)


TASK = specs.TaskSpec(goal="g", executor="fake").model_dump(mode="json")
PLAN = {"version": "v1", "name": None, "title": None, "objective": "o", "order": "graph", "on_failure": "stop"}
PLANNED: dict[str, Any] = {"name": "one", "task": TASK, "depends_on": [], "builds_on": None}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("steps.submit", {"task": TASK, "name": None}),
        ("manifests.submit", {**PLAN, "budget": TASK["budget"], "steps": [PLANNED]}),
    ],
)
async def test_a_call_is_known_by_what_it_was_before_requests_could_tell_what_they_were_made_of(
    desk: Desk, name: str, body: dict[str, Any]
) -> None:
    parameters: dict[str, Any] = {"run_id": await desk.run_id()} if name == "steps.submit" else {}
    await desk.call(name, body=body, call_id=_call_id(), **parameters)
    known = desk.context.database.read(lambda conn: conn.execute("SELECT body_sha256 FROM calls").fetchone()[0])
    assert known == wire.body_digest([name, {"repository_id": desk.repository_id, **parameters}, body])


async def test_another_target_under_the_same_id_is_a_conflict(desk: Desk) -> None:
    one, other, call_id = await desk.run_id(), await desk.run_id(), _call_id()
    await desk.call("runs.close", run_id=one, call_id=call_id)
    with pytest.raises(errors.IdempotencyConflict):
        await desk.call("runs.close", run_id=other, call_id=call_id)


async def test_a_final_error_is_given_again_even_where_it_would_succeed_by_now(desk: Desk) -> None:
    run_id, call_id = await desk.run_id(), _call_id()
    await desk.call("runs.close", run_id=run_id)
    body = {"task": {"goal": "g", "executor": "fake"}, "name": "one"}
    problems = []
    for _ in range(2):
        with pytest.raises(errors.InvalidTransition) as refused:
            await desk.call("steps.submit", run_id=run_id, body=body, call_id=call_id)
        problems.append(refused.value.problem())
    assert problems[0] == problems[1]


async def test_an_error_leaves_no_trace_but_its_memory(desk: Desk) -> None:
    run_id = await desk.run_id()
    step = await desk.submit(run_id)
    await desk.call("runs.cancel", run_id=run_id)
    before = (await desk.call("events.list")).head_seq
    with pytest.raises(errors.InvalidTransition):
        await desk.call("steps.retry", step_id=step.step_id, call_id=_call_id())
    assert (await desk.call("events.list")).head_seq == before
    assert (await desk.call("steps.get", step_id=step.step_id)).state == "cancelled"


async def test_answers_are_forgotten_after_the_published_time(desk: Desk) -> None:
    call_id = _call_id()
    await desk.call("runs.create", body={"objective": "o"}, call_id=call_id)
    await desk.context.database.write(
        "age",
        lambda tx: tx.execute(
            "UPDATE calls SET at = ?", (tx.now.replace(year=tx.now.year - 1).isoformat(timespec="microseconds"),)
        ),
    )
    assert limits.IDEMPOTENCY_S < 365 * 86_400
    await desk.call("runs.create", body={"objective": "other"}, call_id=call_id)
    kept = desk.context.database.read(lambda conn: conn.execute("SELECT count(*) FROM calls").fetchone()[0])
    assert kept == 1


async def test_events_carry_the_call_that_made_them(desk: Desk) -> None:
    call_id = _call_id()
    await desk.call("runs.create", body={"objective": "o"}, call_id=call_id)
    assert (await desk.call("events.list")).items[-1].call_id == call_id


async def test_a_malformed_call_id_is_refused(desk: Desk) -> None:
    with pytest.raises(errors.InvalidRequest):
        await desk.call("runs.create", body={"objective": "o"}, call_id="call_../../etc")
