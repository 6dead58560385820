"""An executor that spoils what git reads in its worktree: its step says so by name, and its edits are kept."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from local_daemon.protocol import states
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make, shell_running


@pytest.fixture(autouse=True)
def looking_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for git looks for the reason before long."""
    monkeypatch.setattr("local_daemon.worktrees.git.LOOK_AFTER_S", 0.5)


def machine_of(tmp_path: Path, line: str) -> AbstractAsyncContextManager[Machine]:
    """One whose executor runs this line of shell."""
    return machine_start(tmp_path / "home", repository_make(tmp_path / "repository"), executors=shell_running(line))


async def test_a_step_that_left_a_pipe_for_git_fails_with_its_name_and_keeps_its_edits(tmp_path: Path) -> None:
    async with machine_of(tmp_path, "echo e > edit && mkfifo .gitignore") as machine:
        step_id = await machine.submit(executor="shell")
        step = await machine.until(step_id)
        await machine.worktrees_gone()
        assert step.state is states.StepState.FAILED
        assert step.failure is not None and step.failure.kind is states.FailureKind.ARTIFACT
        assert step.failure.detail.endswith(": .gitignore")
        result = machine.result(step_id)
        assert [change.path for change in result.changes] == ["edit"]
        assert git(machine.root, "show", f"{result.ref}:edit") == "e\n"
        assert list(machine.shop.worktrees.iterdir()) == []


async def test_a_pipe_that_a_check_leaves_keeps_no_worktree(tmp_path: Path) -> None:
    async with machine_of(tmp_path, "echo e > edit") as machine:
        check = {"name": "a", "command": "mkfifo .gitattributes"}
        step = await machine.until(await machine.submit(executor="shell", validations=[check]))
        await machine.worktrees_gone()
        assert step.state is states.StepState.COMPLETED
        assert list(machine.shop.worktrees.iterdir()) == []


@pytest.mark.parametrize("put", ["mkfifo $each", "mkdir -p $each/x", "mkdir -p $each.new/x", "echo junk > $each"])
async def test_what_an_executor_puts_beside_its_worktree_holds_nobody_up(tmp_path: Path, put: str) -> None:
    names = "index index.lock commit tree provisioned.json environment-files.json special-files.json brought-back.json"
    line = f'echo e > edit; cd "$PWD.git" && for each in {names}; do rm -f $each; {put}; done'
    async with machine_of(tmp_path, line) as machine:
        step_id = await machine.submit(executor="shell")
        step = await machine.until(step_id)
        await machine.worktrees_gone()
        assert step.state is states.StepState.COMPLETED
        assert [change.path for change in machine.result(step_id).changes] == ["edit"]
        assert list(machine.shop.worktrees.iterdir()) == []


async def test_a_step_whose_head_was_taken_away_fails_with_that_and_keeps_its_edits(tmp_path: Path) -> None:
    line = (
        'echo c > committed && git add . && git commit -qm c && echo e > edit && rm "$(git rev-parse --git-dir)/HEAD"'
    )
    async with machine_of(tmp_path, line) as machine:
        step_id = await machine.submit(executor="shell")
        step = await machine.until(step_id)
        await machine.worktrees_gone()
        assert step.state is states.StepState.FAILED
        assert step.failure is not None and step.failure.kind is states.FailureKind.ARTIFACT
        assert "HEAD was taken away" in step.failure.detail
        result = machine.result(step_id)
        assert [change.path for change in result.changes] == ["committed", "edit"]
        assert git(machine.root, "show", f"{result.ref}:edit") == "e\n"
        assert list(machine.shop.worktrees.iterdir()) == []


async def test_what_a_step_left_whose_git_directory_is_gone_is_recorded_before_a_person_looks(tmp_path: Path) -> None:
    async with machine_of(tmp_path, 'rm -rf "$(git rev-parse --git-dir)"; echo e > edit') as machine:
        step_id = await machine.submit(executor="shell")
        step = await machine.until(step_id)
        assert step.state is states.StepState.NEEDS_ATTENTION
        assert step.failure is not None
        assert ".git" in step.failure.detail
        result = machine.result(step_id)
        assert [change.path for change in result.changes] == ["edit"]
        assert git(machine.root, "show", f"{result.ref}:edit") == "e\n"
