"""Work that begins at what is checked out says what was not committed there, and a policy may ask for more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local_daemon.config import home as homes
from local_daemon.operations import registry
from local_daemon.operations.context import OperationContext
from local_daemon.protocol import errors, messages, specs, states
from local_daemon.protocol.operations import OPERATIONS
from local_daemon.scheduler import live_logs
from local_daemon.worktrees import inspection
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make
from tests.integration.daemon.shell import Operator


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as started:
        yield started


def dirty(root: Path) -> None:
    (root / "file-0.txt").write_text("in the middle of something\n")
    (root / "new.txt").write_text("new\n")


async def submitted(machine: Machine, **task: Any) -> messages.StepView:
    """A step submitted through its operation."""
    context = OperationContext(
        database=machine.shop.database,
        blobs=machine.shop.blobs,
        scheduler=machine.scheduler,
        live_logs=live_logs.LiveLogs(machine.shop),
        instance_view=_instance,
        inspect_repository=inspection.repository_inspect,
        home=homes.Home(root=machine.shop.home),
    )
    answer = await registry.call_operation(
        context,
        OPERATIONS["steps.submit"],
        parameters={"repository_id": machine.repository_id, "run_id": await machine.run()},
        query=None,
        body=messages.StepSubmit.model_validate({"task": {"goal": "g", "executor": "fake-success", **task}}),
        call_id=None,
        actor="a person",
    )
    assert isinstance(answer, messages.StepAnswer)
    return answer.step


def _instance() -> Any:
    return messages.InstanceView.model_construct(
        executors=(messages.ExecutorView(name="fake-success", is_available=True),)
    )


async def test_the_result_counts_what_was_not_committed_and_never_saw_it(machine: Machine) -> None:
    dirty(machine.root)
    before = git(machine.root, "status", "--porcelain")
    step = await machine.until(await machine.submit(executor="fake-success", params={"files": {"done.txt": "done"}}))
    result = machine.result(step.step_id)
    assert result.uncommitted == specs.Uncommitted(changed=1, untracked=1)
    assert [change.path for change in result.changes] == ["done.txt"]
    assert git(machine.root, "status", "--porcelain") == before


async def test_a_clean_checkout_is_told_as_such_and_a_named_base_is_not_judged(machine: Machine) -> None:
    clean = await machine.until(await machine.submit(executor="fake-success"))
    assert machine.result(clean.step_id).uncommitted == specs.Uncommitted(changed=0, untracked=0)
    dirty(machine.root)
    named = await machine.until(await machine.submit(executor="fake-success", base="main"))
    assert machine.result(named.step_id).uncommitted is None


async def test_a_policy_refuses_work_beside_what_is_not_committed(machine: Machine) -> None:
    policy = {"uncommitted": "fail"}
    assert (await submitted(machine, policy=policy)).state is states.StepState.QUEUED
    dirty(machine.root)
    with pytest.raises(errors.PreconditionFailed, match="2 changes that are not committed"):
        await submitted(machine, policy=policy)
    assert (await submitted(machine, policy=policy, base="main")).state is states.StepState.QUEUED


async def test_a_policy_of_the_repository_lets_a_person_look_first(machine: Machine) -> None:
    (machine.root / ".ropeway").mkdir()
    (machine.root / ".ropeway/repository.toml").write_text('[policy]\nuncommitted = "gate"\n')
    git(machine.root, "add", "."), git(machine.root, "commit", "--quiet", "--message", "rules")
    assert (await submitted(machine)).state is states.StepState.QUEUED
    dirty(machine.root)
    assert (await submitted(machine)).state is states.StepState.WAITING


def test_the_command_line_tells_it_with_the_result(newcomer: Operator) -> None:
    dirty(newcomer.repository)
    said = newcomer.say("submit", "--wait", "--executor", "fake-success", "--goal", "g")
    assert said.code == 0, said
    assert "; 2 uncommitted changes of yours were not seen" in said.out
