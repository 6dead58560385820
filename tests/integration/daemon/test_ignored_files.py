"""Ignored files of a conversation outlast a turn that was given up before its executor started: real turns and git."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from local_daemon.conversations import services
from local_daemon.executors import port, registry
from local_daemon.protocol import ids, states
from local_daemon.scheduler import execution
from local_daemon.steps import services as steps
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make
from tests.integration.daemon.test_conversations import Talk, Talker


class Choosy(Talker):
    """A talker that does not take every task."""

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        if task.params.get("unsuitable"):
            raise port.TaskUnsuitable("not this one")
        return super().prepare(task)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = repository_make(tmp_path / "repository")
    (root / ".git/info/exclude").write_text("*.log\n")
    return root


def start(tmp_path: Path, root: Path) -> Any:
    return machine_start(tmp_path / "home", root, executors=registry.Registry([Choosy()]))


async def begin(machine: Machine) -> Talk:
    begun = await machine.shop.database.write(
        "conversation_begin",
        lambda tx: services.conversation_begin(
            tx, repository_id=machine.repository_id, executor="talker", profile=None, title=None, base=None
        ),
    )
    return Talk(machine, begun.conversation_id)


@pytest.fixture
async def talk(tmp_path: Path, root: Path) -> AsyncIterator[Talk]:
    async with start(tmp_path, root) as machine:
        yield await begin(machine)


async def test_a_turn_that_its_executor_did_not_take_costs_no_ignored_file(talk: Talk) -> None:
    await talk.say("one")
    step = await talk.machine.until(await talk.submit("two", unsuitable=True))
    await talk.machine.worktrees_gone()
    assert (step.state, step.failure.detail) == (states.StepState.FAILED, "not this one")  # type: ignore[union-attr]
    assert list(talk.machine.shop.worktrees.iterdir()) == []
    assert (await talk.say("three"))["turns"] == "xx"


async def test_a_turn_whose_repository_came_to_be_held_finds_them_when_its_turn_comes_again(
    talk: Talk, root: Path, tmp_path: Path
) -> None:
    """Its hook waits until another step has changed the repository's configuration."""
    gate, pipe = tmp_path / "gate", tmp_path / "pipe"
    (root / ".ropeway").mkdir()
    hook = f"mv {gate} {gate}.taken 2>/dev/null && cat {pipe}; true"
    (root / ".ropeway/repository.toml").write_text(f'[worktree]\nhook = "{hook}"\n')
    git(root, "add", "."), git(root, "commit", "--quiet", "--message", "hook")
    await talk.say("one")
    os.mkfifo(pipe)
    gate.touch()
    machine = talk.machine
    turn = await talk.submit("two")
    async with asyncio.timeout(10):
        while gate.exists():
            await asyncio.to_thread(os.stat, root)
    evil = await machine.submit(executor="talker", validations=[{"name": "v", "command": "git config alias.x '!y'"}])
    assert (await machine.until(evil)).state is states.StepState.NEEDS_ATTENTION
    await asyncio.to_thread(pipe.write_text, "go on\n")
    await machine.worktrees_gone()
    assert machine.step(turn).state in (states.StepState.QUEUED, states.StepState.RETRY_WAIT)
    assert (machine.shop.aside_path(talk.conversation_id) / "0").read_text() == "x"
    git(root, "config", "--unset", "alias.x")
    await machine.shop.database.write(
        "step_resolve", lambda tx: steps.step_resolve(tx, step_id=evil, resolution="accept", comment="put right")
    )
    step = await machine.until(turn, states.StepState.COMPLETED)
    assert json.loads(step.summary)["turns"] == "xx"


async def test_a_daemon_that_died_before_a_turns_executor_started_loses_none(tmp_path: Path, root: Path) -> None:
    begun = asyncio.Event()
    with pytest.MonkeyPatch.context() as patched:
        async with start(tmp_path, root) as machine, asyncio.timeout(20):
            talk = await begin(machine)
            await talk.say("one")
            patched.setattr(execution, "_start", never_returning(begun))
            step_id = await talk.submit("two")
            await begun.wait()
            await machine.crash()
    async with start(tmp_path, root) as machine:
        step = await machine.until(ids.StepId(step_id), states.StepState.COMPLETED)
        assert json.loads(step.summary)["turns"] == "xx"


def never_returning(begun: asyncio.Event) -> Callable[..., Awaitable[None]]:
    async def wait(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    return wait
