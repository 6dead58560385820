"""Runs through their operations."""

import pytest

from local_daemon.protocol import errors
from tests.unit.daemon.operations.conftest import Desk


async def test_a_named_run_is_created_once(desk: Desk) -> None:
    body = {"objective": "o", "name": "greet", "title": "Greet"}
    first, again = [await desk.call("runs.create", body=body) for _ in range(2)]
    assert (first.created, again.created) == (True, False)
    assert first.run == again.run


async def test_a_run_counts_its_steps(desk: Desk) -> None:
    run_id = await desk.run_id()
    for _ in range(3):
        await desk.submit(run_id)
    run = await desk.call("runs.get", run_id=run_id)
    assert (run.state, run.step_counts) == ("running", {"queued": 3})
    assert (await desk.call("runs.list")).items == (run,)


async def test_a_closed_run_takes_no_step(desk: Desk) -> None:
    run_id = await desk.run_id()
    assert (await desk.call("runs.close", run_id=run_id)).run.state == "completed"
    with pytest.raises(errors.InvalidTransition):
        await desk.submit(run_id)


async def test_cancelling_a_run_tells_the_scheduler_which_steps_to_end(desk: Desk) -> None:
    run_id = await desk.run_id()
    step = await desk.submit(run_id)
    answer = await desk.call("runs.cancel", run_id=run_id, body={"reason": "enough"})
    assert answer.run.state == "cancelled"
    assert desk.scheduler.cancelled == []
    assert (await desk.call("steps.get", step_id=step.step_id)).state == "cancelled"


async def test_a_list_shows_the_beginning_of_an_endless_objective(desk: Desk) -> None:
    await desk.call("runs.create", body={"objective": "x" * 60_000})
    (listed,) = (await desk.call("runs.list")).items
    assert len(listed.objective) < 2001
    assert len((await desk.call("runs.get", run_id=listed.run_id)).objective) == 60_000


async def test_runs_are_read_page_by_page_without_gaps_while_more_come(desk: Desk) -> None:
    for _ in range(5):
        await desk.run_id()
    first = await desk.call("runs.list", query={"limit": 2})
    await desk.run_id()
    second = await desk.call("runs.list", query={"limit": 10, "cursor": first.next_cursor})
    assert len({run.run_id for run in (*first.items, *second.items)}) == 5
    assert second.next_cursor is None


async def test_a_cursor_of_somebody_elses_is_refused(desk: Desk) -> None:
    with pytest.raises(errors.InvalidRequest):
        await desk.call("runs.list", query={"cursor": "abc"})
