"""An attempt that goes wrong beyond what anybody expected: its step never looks as if it were at work, and what was
collected of it is kept."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local_daemon.policies import rules
from local_daemon.protocol import states
from local_daemon.scheduler import checks, clearing, execution, loop, recovery, workshop
from local_daemon.worktrees import configuration, diffs, worktree
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as running:
        yield running


def defect(*_: Any, **__: Any) -> Any:
    """What nobody expected."""
    raise RuntimeError("a defect")


@pytest.mark.parametrize(
    "put",
    ["mkdir {name}", "mkfifo {name}", "ln -s {name} {name}", "ln -s /dev/zero {name}"],
    ids=["folder", "pipe", "loop", "endless"],
)
@pytest.mark.parametrize("name", ["info/attributes", "info/exclude", "config.worktree"])
async def test_what_stands_in_the_place_of_a_file_of_git_is_told_to_a_person_by_name(
    machine: Machine, put: str, name: str
) -> None:
    place = machine.root / ".git" / name
    line = f"mkdir -p {place.parent} && rm -rf {place} && {put.format(name=place)}"
    step_id = await machine.submit(executor="fake-success", validations=[{"name": "a", "command": line}])
    step = await machine.until(step_id)
    await machine.worktrees_gone()
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert step.failure is not None and name in step.failure.detail
    result = machine.result(step_id)
    assert git(machine.root, "show", f"{result.ref}:fake-success.txt") == "g\n"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (worktree.Worktree, "configuration_changed"),
        (diffs, "has_links"),
        (rules, "changes_judge"),
    ],
    ids=["configuration", "links", "judgement"],
)
async def test_what_an_attempt_changed_and_used_is_kept_where_it_can_not_be_judged(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    monkeypatch.setattr(module, name, defect)
    step_id = await machine.submit(executor="fake-success", params={"usage": {"input_tokens": 70}})
    step = await machine.until(step_id)
    assert step.state is states.StepState.NEEDS_ATTENTION
    attempt = machine.attempt(step_id)
    assert (attempt.state, attempt.usage.input_tokens) == (states.AttemptState.RECORDED, 70)
    result = machine.result(step_id)
    assert [change.path for change in result.changes] == ["fake-success.txt"]
    assert b"fake-success.txt" in machine.content(result.patch)


async def test_a_lost_attempt_that_can_not_be_looked_at_is_put_on_record_unseen(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "attempt_execute", defect)
    monkeypatch.setattr(clearing, "configuration_before", defect)
    step = await machine.until(await machine.submit(executor="fake-success"))
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert step.failure is not None and "could not be looked at" in step.failure.detail
    await machine.worktrees_gone()


async def test_a_daemon_starts_beside_an_attempt_that_can_not_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, never = repository_make(tmp_path / "repository"), asyncio.Event()
    async with machine_start(tmp_path / "home", repository) as machine:
        with monkeypatch.context() as patch:
            patch.setattr(checks, "checks_run", lambda *_, **__: never.wait())
            step_id = await machine.submit(executor="fake-success", validations=[{"name": "a", "command": "true"}])
            await machine.until(step_id, states.StepState.VALIDATING)
            await machine.crash()
    monkeypatch.setattr(recovery, "work_find", lambda _: None)
    monkeypatch.setattr(configuration, "names_changed", defect)
    async with machine_start(tmp_path / "home", repository) as machine:
        assert (await machine.until(step_id)).state is states.StepState.NEEDS_ATTENTION


class _Clock:
    """Asyncio, whose timeouts are noted."""

    def __init__(self) -> None:
        self.noted: asyncio.Queue[float] = asyncio.Queue()

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def timeout(self, delay: float | None) -> asyncio.Timeout:
        """As asyncio's own."""
        if delay is not None:
            self.noted.put_nowait(delay)
        return asyncio.timeout(delay)


async def test_what_is_due_is_looked_for_now_and_then_since_a_machine_may_have_slept(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr(loop, "asyncio", clock)
    await machine.until(await machine.submit(executor="fake-success", gates={"before": True, "expires_s": 86_400}))
    machine.scheduler.wake()
    assert await clock.noted.get() <= 60
