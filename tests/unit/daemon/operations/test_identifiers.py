"""Ids that somebody types by hand, through their operation."""

import pytest
from pydantic import ValidationError

from local_daemon.protocol import errors
from tests.unit.daemon.operations.conftest import Desk


async def found(desk: Desk, noun: str, beginning: str | None = None, **more: object) -> tuple[str, ...]:
    query = {"noun": noun, **({} if beginning is None else {"beginning": beginning}), **more}
    items: tuple[str, ...] = (await desk.call("ids.list", query=query)).items
    return items


async def test_without_a_beginning_the_newest_come_first(desk: Desk) -> None:
    run_id = await desk.run_id()
    steps = [(await desk.submit(run_id)).step_id for _ in range(3)]
    assert await found(desk, "step") == tuple(reversed(steps))
    assert await found(desk, "step", limit=1) == (steps[-1],)
    assert await found(desk, "run") == (run_id,)
    assert await found(desk, "gate") == await found(desk, "conversation") == ()
    with pytest.raises(ValidationError, match="how its id begins"):
        await found(desk, "artifact")


async def test_a_run_that_ended_without_a_step_is_not_among_the_newest(desk: Desk) -> None:
    run_id = await desk.run_id()
    await desk.submit(run_id)
    await desk.call("runs.cancel", run_id=run_id, body={})
    empty = await desk.run_id()
    assert await found(desk, "run") == (empty, run_id)
    await desk.call("runs.cancel", run_id=empty, body={})
    assert await found(desk, "run") == (run_id,)
    assert empty in await found(desk, "run", empty.removeprefix("run_"))


async def test_a_beginning_finds_every_id_that_goes_on_from_it(desk: Desk) -> None:
    run_id = await desk.run_id()
    steps = [(await desk.submit(run_id)).step_id for _ in range(3)]
    whole = steps[1].removeprefix("step_")
    assert await found(desk, "step", whole) == (steps[1],)
    assert set(await found(desk, "step", whole[:4])) == set(steps)
    assert await found(desk, "step", "7zzz") == ()
    assert await found(desk, "run", whole) == await found(desk, "artifact", whole) == ()


async def test_more_than_were_asked_for_are_said_to_be_there(desk: Desk) -> None:
    run_id = await desk.run_id()
    for _ in range(3):
        await desk.submit(run_id)
    assert (await desk.call("ids.list", query={"noun": "step", "limit": 2})).is_cut
    assert not (await desk.call("ids.list", query={"noun": "step", "limit": 3})).is_cut


async def test_a_repository_that_there_is_not_has_no_ids(desk: Desk) -> None:
    with pytest.raises(errors.NotFound):
        await desk.call("ids.list", repository_id="repo_" + "0" * 26, query={"noun": "step"})
