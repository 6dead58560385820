"""Whatever an attempt leaves where its repository lies, what the daemon does later it does in that repository."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from local_daemon.protocol import states
from local_daemon.repositories import services as repositories
from local_daemon.scheduler import conclusion
from local_daemon.steps import services as steps
from local_daemon.worktrees import bindings
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make, shell_running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository_make(tmp_path / "repository")


@pytest.fixture
async def machine(tmp_path: Path, root: Path) -> AsyncIterator[Machine]:
    async with machine_start(tmp_path / "home", root) as running:
        yield running


async def resolved(machine: Machine, step_id: Any) -> None:
    await machine.shop.database.write(
        "step_resolve",
        lambda tx: steps.step_resolve(tx, step_id=step_id, resolution="accept", comment="looked at"),
    )


async def test_a_commondir_that_outlives_its_attempt_leads_no_later_attempt_elsewhere(
    machine: Machine, root: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root / ".git", elsewhere)
    pointer = root / ".git/commondir"
    first = await machine.submit(
        executor="fake-success", validations=[{"name": "a", "command": f"echo {elsewhere} > {pointer}"}]
    )
    step = await machine.until(first)
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert step.failure is not None and "commondir" in step.failure.detail
    await machine.worktrees_gone()
    await resolved(machine, first)
    second = await machine.until(await machine.submit(executor="fake-success"))
    assert second.failure is not None and second.failure.kind is states.FailureKind.POLICY
    assert "commondir" in second.failure.detail
    assert "refs/ropeway" not in git(elsewhere, "for-each-ref")
    pointer.unlink()
    assert (await machine.until(await machine.submit(executor="fake-success"))).state is states.StepState.COMPLETED
    assert machine.result(first).ref in git(root, "for-each-ref")  # type: ignore[operator]


async def test_a_git_directory_that_was_exchanged_is_told_and_not_worked_in(root: Path, tmp_path: Path) -> None:
    """Also by a daemon that never saw the one before."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root / ".git", elsewhere)
    exchange = f"mv {root}/.git {root}/aside; echo 'gitdir: {elsewhere}' > {root}/.git"
    async with machine_start(tmp_path / "home", root) as machine:
        first = await machine.until(
            await machine.submit(executor="fake-success", validations=[{"name": "a", "command": exchange}])
        )
        await machine.worktrees_gone()
        assert first.state is states.StepState.NEEDS_ATTENTION
        assert first.failure is not None and first.failure.kind is states.FailureKind.POLICY
        await resolved(machine, first.step_id)
    bindings.bind(root, None)
    async with machine_start(tmp_path / "home", root) as machine:
        second = await machine.until(await machine.submit(executor="fake-success"))
        assert second.failure is not None and "another directory than the one" in second.failure.detail
        assert not (elsewhere / "worktrees").exists()
        (root / ".git").unlink()
        (root / "aside").rename(root / ".git")
        third = await machine.until(await machine.submit(executor="fake-success"))
        assert third.state is states.StepState.COMPLETED


EXCHANGES = {
    "pointer": "mv {root}/.git {root}/aside && echo 'gitdir: {elsewhere}' > {root}/.git",
    "directory": "mv {root}/.git {root}/aside && cp -r {elsewhere} {root}/.git",
    "pipe": "mv {root}/.git {root}/aside && mkfifo {root}/.git",
    "gone": "mv {root}/.git {root}/aside",
}


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES.keys())
@pytest.mark.parametrize("does_it", ["executor", "check"])
async def test_a_git_directory_that_is_exchanged_under_an_attempt_is_a_failure_on_record_and_no_crash(
    tmp_path: Path, root: Path, exchange: str, does_it: str, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root / ".git", elsewhere)
    line = exchange.format(root=root, elsewhere=elsewhere)
    command = "echo e > edit" if does_it == "check" else f"echo e > edit; {line}"
    checks = [{"name": "a", "command": line}] if does_it == "check" else []
    async with machine_start(tmp_path / "home", root, executors=shell_running(command)) as machine:
        step = await machine.until(await machine.submit(executor="shell", validations=checks))
        await machine.worktrees_gone()
        assert step.state is states.StepState.NEEDS_ATTENTION
        assert step.failure is not None
        assert step.failure.kind in (states.FailureKind.POLICY, states.FailureKind.WORKSPACE)
        assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def never_returning(begun: asyncio.Event) -> Callable[..., Awaitable[None]]:
    async def wait(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    return wait


async def test_of_a_repository_that_was_moved_while_no_daemon_ran_that_is_said_and_its_edits_are_kept(
    root: Path, tmp_path: Path
) -> None:
    concluding, moved = asyncio.Event(), tmp_path / "moved"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conclusion, "attempt_conclude", never_returning(concluding))
        async with machine_start(tmp_path / "home", root) as machine, asyncio.timeout(60):
            step_id = await machine.submit(executor="fake-success")
            await concluding.wait()
            await machine.crash()
    root.rename(moved)
    async with machine_start(tmp_path / "home", root) as machine:
        step = await machine.until(step_id)
        await machine.worktrees_gone()
        assert step.state is states.StepState.NEEDS_ATTENTION
        assert step.failure is not None and step.failure.kind is states.FailureKind.WORKSPACE
        assert "ropeway repository relocate" in step.failure.detail
        assert "configuration" not in step.failure.detail
        repository_id, binding = machine.repository_id, bindings.binding_of(moved)
        await machine.shop.database.write(
            "repository_relocate",
            lambda tx: repositories.repository_relocate(
                tx, repository_id=repository_id, toplevel=moved, binding=binding
            ),
        )
        ref = await machine.scheduler.edits_record(step_id)
        assert git(moved, "show", f"{ref}:fake-success.txt") == "g\n"


async def test_of_a_repository_that_was_moved_under_an_attempt_that_is_said(
    machine: Machine, root: Path, tmp_path: Path
) -> None:
    move = f"mv {root} {tmp_path / 'moved'}"
    first = await machine.until(
        await machine.submit(executor="fake-success", validations=[{"name": "a", "command": move}])
    )
    await machine.worktrees_gone()
    assert first.state is states.StepState.NEEDS_ATTENTION
    assert first.failure is not None and "ropeway repository relocate" in first.failure.detail
    await resolved(machine, first.step_id)
    second = await machine.until(await machine.submit(executor="fake-success"))
    assert second.state is states.StepState.FAILED
    assert second.failure is not None and "ropeway repository relocate" in second.failure.detail
