"""Where worktrees take as much as they may: what can go goes, what is at work is waited for, and else it is said."""

import shutil
from pathlib import Path

import pytest

from local_daemon.protocol import states
from local_daemon.scheduler import retention
from local_daemon.worktrees import room, worktree
from tests.integration.daemon.machine import Machine, machine_start, repository_make
from tests.integration.daemon.shell import Operator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository_make(tmp_path / "repository")


def small(home: Path, bytes_max: int = 1) -> room.Room:
    return room.Room((home / "worktrees", home / "spares"), bytes_max=bytes_max)


async def left_behind(machine: Machine) -> worktree.Worktree:
    """The worktree of a step that has ended, as a crash may leave it."""
    step_id = await machine.submit(executor="fake-success", params={"files": {"a.txt": "a\n"}})
    await machine.until(step_id)
    await machine.worktrees_gone()
    attempt = machine.attempt(step_id)
    path = machine.shop.worktree_path(attempt.attempt_id)
    return await worktree.worktree_create(machine.root, path=path, base=attempt.head_commit or "")


async def test_a_worktree_with_unrecorded_changes_stays_and_the_next_step_says_why_it_does_not_begin(
    tmp_path: Path, root: Path
) -> None:
    async with machine_start(tmp_path / "home", root, room=small(tmp_path / "home")) as machine:
        left = await left_behind(machine)
        (left.path / "mine.txt").write_text("mine")
        machine.shop.room.look(left.path)
        await machine.shop.room.close()
        step = await machine.until(await machine.submit(executor="fake-success"))
        assert step.state is states.StepState.FAILED
        assert step.failure is not None
        assert (step.failure.kind, step.failure.retryable) == (states.FailureKind.WORKSPACE, True)
        assert "[worktrees] bytes_max = 1 in daemon.toml" in step.failure.detail
        assert str(tmp_path) not in step.failure.detail
        assert (left.path / "mine.txt").read_text() == "mine"


async def test_a_worktree_that_holds_nothing_of_its_own_makes_room(tmp_path: Path, root: Path) -> None:
    async with machine_start(tmp_path / "home", root, room=small(tmp_path / "home")) as machine:
        left = await left_behind(machine)
        machine.shop.room.look(left.path)
        await machine.shop.room.close()
        assert machine.shop.room.is_full
        step = await machine.until(await machine.submit(executor="fake-success"))
        assert step.state is states.StepState.COMPLETED, step
        assert not left.path.exists()


async def test_a_step_waits_for_the_end_of_one_that_is_at_work(tmp_path: Path, root: Path) -> None:
    async with machine_start(tmp_path / "home", root, room=small(tmp_path / "home")) as machine:
        first = await machine.submit(executor="fake-timeout")
        await machine.until(first, states.StepState.RUNNING)
        await machine.shop.room.close()
        assert machine.shop.room.is_full
        second = await machine.submit(executor="fake-success")
        await machine.cancel(first)
        assert (await machine.until(second)).state is states.StepState.COMPLETED
        ended_at = machine.attempt(first).ended_at
        assert ended_at is not None
        assert machine.attempt(second).leased_at >= ended_at


async def test_one_step_says_that_there_is_no_room_and_those_behind_it_wait_until_somebody_cleared_up(
    tmp_path: Path, root: Path
) -> None:
    async with machine_start(tmp_path / "home", root, room=small(tmp_path / "home")) as machine:
        left = tmp_path / "home/worktrees/somebody"
        left.mkdir(parents=True)
        (left / "file").write_bytes(b"x" * 9000)
        machine.shop.room.look(left)
        await machine.shop.room.close()
        run_id = await machine.run()
        waiting = [await machine.submit_to(run_id, executor="fake-success") for _ in range(5)]
        await machine.until(waiting[0], states.StepState.FAILED)
        await machine.shop.room.close()
        assert {machine.step(step_id).state for step_id in waiting[1:]} == {states.StepState.QUEUED}
        shutil.rmtree(left)
        await retention.Retention(shop=machine.shop).collect(dry_run=False)
        for step_id in waiting[1:]:
            assert (await machine.until(step_id)).state is states.StepState.COMPLETED


async def test_what_only_seemed_to_take_the_room_keeps_no_step_waiting_for_one_at_work(
    tmp_path: Path, root: Path
) -> None:
    async with machine_start(tmp_path / "home", root, room=small(tmp_path / "home", 10_000_000)) as machine:
        first = await machine.submit(executor="fake-timeout")
        await machine.until(first, states.StepState.RUNNING)
        spare = tmp_path / "home/spares/life/1"
        spare.mkdir(parents=True)
        (spare / "file").write_bytes(b"x" * 11_000_000)
        machine.shop.room.look(spare)
        await machine.shop.room.close()
        assert machine.shop.room.is_full
        shutil.rmtree(spare)
        second = await machine.submit(executor="fake-success")
        assert (await machine.until(second)).state is states.StepState.COMPLETED
        await machine.cancel(first)
        await machine.until(first)


def test_doctor_and_gc_say_what_worktrees_take_and_when_nothing_begins(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "worktrees/att_1").mkdir(parents=True)
    (newcomer.home / "worktrees/att_1/file").write_bytes(b"x" * 100_000)
    checks = {check["name"]: check for check in newcomer.say("doctor", "--json").document["checks"]}
    assert (checks["worktrees"]["ok"], checks["worktrees"]["detail"]) == (True, "0.0 of 20.0 GiB")
    (newcomer.home / "daemon.toml").write_text("[worktrees]\nbytes_max = 5000\n")
    told = newcomer.say("doctor", "--json")
    checks = {check["name"]: check for check in told.document["checks"]}
    assert not checks["worktrees"]["ok"]
    assert "ropeway gc --dry-run" in checks["worktrees"]["detail"]
    assert newcomer.ask("gc", "--dry-run")["worktrees_bytes"] >= 100_000
