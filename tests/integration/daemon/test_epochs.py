"""A life of the daemon that is over without knowing it: what a later life has taken over is left to that one."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from local_daemon.attempts import services as attempts
from local_daemon.protocol import errors, ids, states
from local_daemon.scheduler import clearing, execution, recovery, workshop
from tests.integration.daemon.machine import Machine, machine_start, repository_make


async def take_over(machine: Machine, step_id: ids.StepId) -> int:
    """As a later life does when it begins."""
    return await machine.shop.database.write("epoch_begin", lambda tx: attempts.epoch_begin(tx, at_work=[step_id]))


async def test_an_earlier_life_whose_executor_ends_leaves_the_step_to_the_later_one(tmp_path: Path) -> None:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        step_id = await machine.submit(executor="fake-timeout")
        await machine.until(step_id, states.StepState.RUNNING)
        pid = machine.attempt(step_id).pid
        assert pid is not None
        epoch = await take_over(machine, step_id)
        os.killpg(pid, signal.SIGKILL)  # Anything less is lost on a launcher that is just about to start its program.
        await machine.worktrees_gone()
        attempt = machine.attempt(step_id)
        assert (attempt.state, attempt.epoch) == (states.AttemptState.RUNNING, epoch)
        assert machine.step(step_id).state is states.StepState.RUNNING


async def test_an_earlier_life_that_has_room_again_does_not_go_on_with_what_is_the_later_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        writes = machine.shop.database.write

        async def write(label: str, *arguments: Any, **named: Any) -> Any:
            if label == "step_conclude":
                await take_over(machine, step_id)
                raise errors.StorageFull
            return await writes(label, *arguments, **named)

        monkeypatch.setattr(machine.shop.database, "write", write)
        step_id = await machine.submit(executor="fake-success", validations=[{"name": "look", "command": "true"}])
        await machine.until(step_id, states.StepState.VALIDATING)
        await machine.worktrees_gone()
        assert machine.attempt(step_id).state is states.AttemptState.RECORDED
        assert machine.step(step_id).state is states.StepState.VALIDATING


@pytest.mark.parametrize("when", ["before it is looked at", "while what runs is ended"])
async def test_a_step_that_is_taken_over_just_before_an_earlier_life_gives_it_up_is_left_to_the_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        ends, loses = clearing.family_end, recovery.step_lost
        ended = []

        async def crash(*_: Any) -> Any:
            raise RuntimeError("nobody expected this")

        async def lose(*arguments: Any, **named: Any) -> None:
            if when == "before it is looked at":
                await take_over(machine, step_id)
            await loses(*arguments, **named)

        async def end(*arguments: Any) -> Any:
            ended.append(arguments)
            await take_over(machine, step_id)
            return await ends(*arguments)

        monkeypatch.setattr(execution, "exit_record", crash)
        monkeypatch.setattr(recovery, "step_lost", lose)
        monkeypatch.setattr(clearing, "family_end", end)
        step_id = await machine.submit(executor="fake-success")
        await machine.until(step_id, states.StepState.RUNNING)
        await machine.worktrees_gone()
        attempt = machine.attempt(step_id)
        assert (attempt.state, len(ended)) == (states.AttemptState.RUNNING, int(when != "before it is looked at"))
        assert machine.step(step_id).state is states.StepState.RUNNING
