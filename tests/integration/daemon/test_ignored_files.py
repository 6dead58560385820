"""Ignored files of a conversation outlast a turn that was given up before its executor started: real turns and git."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local_daemon.conversations import services
from local_daemon.executors import port, registry
from local_daemon.protocol import ids, specs, states
from local_daemon.scheduler import checks, conclusion, execution, leftovers, provision, recovery, workshop
from local_daemon.steps import services as steps
from local_daemon.worktrees import worktree
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
        async with start(tmp_path, root) as machine, asyncio.timeout(60):
            talk = await begin(machine)
            await talk.say("one")
            patched.setattr(execution, "_start", never_returning(begun))
            step_id = await talk.submit("two")
            await begun.wait()
            await machine.crash()
    async with start(tmp_path, root) as machine:
        step = await machine.until(ids.StepId(step_id), states.StepState.COMPLETED)
        assert json.loads(step.summary)["turns"] == "xx"


CHECK = specs.ValidationSpec(name="fine", command="true")


async def say_checked(talk: Talk, text: str) -> ids.StepId:
    """Say it, with a check at the end."""

    def apply(tx: Any) -> ids.StepId:
        task = specs.TaskSpec(goal=text, executor="talker", validations=(CHECK,))
        return services.conversation_say(tx, conversation=talk._get(tx.connection), task=task, policies=()).step_id

    return await talk.machine.shop.database.write("conversation_say", apply)


@pytest.mark.parametrize("before", [("one",), ("one", None)], ids=["a turn", "an undone turn"])
@pytest.mark.parametrize(
    "again", [(), ("worktree_create",), ("_ignored_bring_back",), ("checks_run", "checks_run")], ids=str
)
async def test_a_daemon_that_died_during_the_checks_of_a_turn_loses_none(
    tmp_path: Path, root: Path, again: tuple[str, ...], before: tuple[str | None, ...]
) -> None:
    """However often, and wherever the next one died while it was to run them again."""
    async with dying(tmp_path, root, "checks_run") as (machine, died), asyncio.timeout(60):
        talk = await begin(machine)
        for text in before:
            await (talk.undo() if text is None else talk.say(text))
        step_id = await say_checked(talk, "two")
        await died.wait()
    for where in again:
        async with dying(tmp_path, root, where) as (_, died), asyncio.timeout(60):
            await died.wait()
    async with start(tmp_path, root) as machine:
        await machine.until(step_id, states.StepState.COMPLETED)
        await machine.worktrees_gone()
        turns = "xx" if None in before else "xxx"
        assert (await Talk(machine, talk.conversation_id).say("three"))["turns"] == turns


async def test_a_daemon_that_died_before_it_cleared_up_after_a_turn_loses_none(tmp_path: Path, root: Path) -> None:
    async with dying(tmp_path, root, "worktree_clear") as (machine, died), asyncio.timeout(60):
        talk = await begin(machine)
        step_id = await talk.submit("one")
        await died.wait()
        assert machine.step(step_id).state is states.StepState.COMPLETED
    async with start(tmp_path, root) as machine:
        await leftovers.worktrees_sweep(machine.shop)
        assert list(machine.shop.worktrees.iterdir()) == []
        assert (await Talk(machine, talk.conversation_id).say("two"))["turns"] == "xx"


async def test_what_an_older_turn_left_in_its_place_does_not_take_the_place_of_newer_files(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stays(*_: Any, **__: Any) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(conclusion, "worktree_clear", stays)
        await talk.say("one")
    await talk.undo()
    for text in ("two", "three"):
        await talk.say(text)
    await leftovers.worktrees_sweep(talk.machine.shop)
    assert list(talk.machine.shop.worktrees.iterdir()) == []
    assert (await talk.say("four"))["turns"] == "xxx"


PLACES: dict[str, Any] = {
    "checks_run": checks,
    "worktree_clear": conclusion,
    "worktree_create": recovery.worktree,
    "_ignored_bring_back": provision,
}


@asynccontextmanager
async def dying(tmp_path: Path, root: Path, where: str) -> AsyncIterator[tuple[Machine, asyncio.Event]]:
    """A daemon that comes so far and dies there; half-way, where it brings files back."""
    died = asyncio.Event()
    with pytest.MonkeyPatch.context() as patched:
        async with start(tmp_path, root) as machine:
            dies = brought_half(died) if where == "_ignored_bring_back" else never_returning(died)
            patched.setattr(PLACES[where], where, dies)
            yield machine, died
            await machine.crash()


def brought_half(died: asyncio.Event) -> Callable[..., Awaitable[None]]:
    async def begin(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> None:
        (aside,) = (path for path in shop.ignored_root.iterdir() if path.is_dir())
        aside.rename(worktree.own_dir(place.path) / "brought-back")
        died.set()
        await asyncio.Event().wait()

    return begin


def never_returning(begun: asyncio.Event) -> Callable[..., Awaitable[None]]:
    async def wait(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    return wait
