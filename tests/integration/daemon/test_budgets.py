"""Budgets stop work truthfully, and policies judge what was really changed: real processes, real git."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local_daemon.executors import port, registry
from local_daemon.processes import children
from local_daemon.protocol import ids, states
from local_daemon.protocol.policies import Policy
from local_daemon.runs import services as runs
from local_daemon.scheduler import metering
from local_daemon.storage import database
from local_daemon.usage import selectors as usage
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make

SPENT = {"output_tokens": 70, "cost_usd": 0.7, "model": "m"}


class Reporting:
    """Reports its usage at once, and goes on."""

    name = "reporting"

    def __init__(self, line: str = "echo 70; exec sleep 600") -> None:
        self.line = line

    async def availability(self) -> port.Availability:
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        return port.Launch(argv=("/bin/sh", "-c", self.line))

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        reported = int(stdout.read_text() or 0)
        return port.ExecutorReport(outcome=port.Outcome.SUCCEEDED, usage=port.Usage(output_tokens=reported))


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as running:
        yield running


async def test_work_beyond_its_budget_fails_and_keeps_its_edits(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(
            executor="fake-success", budget={"output_tokens": 50}, params={"usage": SPENT, "files": {"a.txt": "a"}}
        )
    )
    result = machine.result(step.step_id)
    assert result.failure is not None
    assert (result.failure.kind, result.failure.cause) == (states.FailureKind.POLICY, states.FailureCause.BUDGET)
    assert "70 of 50 output tokens" in result.failure.detail
    assert git(machine.root, "show", f"{result.ref}:a.txt") == "a"


async def test_a_retry_with_nothing_left_never_starts(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(
            executor="fake-failure",
            budget={"cost_usd": 0.7},
            params={"usage": SPENT},
            retry={"max_attempts": 3, "on": ["executor"]},
        )
    )
    assert step.failure is not None
    assert step.failure.cause is states.FailureCause.BUDGET
    assert step.attempts == 1


async def test_the_time_of_a_run_is_one_for_all_its_steps(machine: Machine) -> None:
    def create(tx: Any) -> Any:
        return runs.run_create(
            tx,
            repository_id=machine.repository_id,
            objective="o",
            name=None,
            title=None,
            budget=Policy.model_validate({"budget": {"duration_s": 1}}).budget,
        )[0]

    run = await machine.shop.database.write("run_create", create)
    step_id = await machine.submit_to(run.run_id, executor="fake-timeout")
    step = await machine.until(step_id)
    assert step.failure is not None
    assert step.failure.cause is states.FailureCause.BUDGET
    second = await machine.until(await machine.submit_to(run.run_id, executor="fake-success"))
    assert second.attempts == 0
    assert second.failure is not None
    assert second.failure.detail.startswith("the run's budget is used up")
    spent = machine.shop.database.read(lambda conn: usage.spent(conn, usage.of_run(run.run_id), now=database.utc_now()))
    assert (spent.attempts, spent.output_tokens) == (1, None)
    assert spent.duration_ms >= 1000


async def test_an_executor_is_stopped_once_it_reports_too_much(tmp_path: Path) -> None:
    executors = registry.Registry([Reporting()])
    async with machine_start(
        tmp_path / "home", repository_make(tmp_path / "repository"), executors=executors
    ) as machine:
        step = await machine.until(await machine.submit(executor="reporting", budget={"output_tokens": 50}))
        assert step.failure is not None
        assert step.failure.cause is states.FailureCause.BUDGET
        assert machine.result(step.step_id).duration_ms < 30_000


async def run_with(machine: Machine, **budget: Any) -> ids.RunId:
    """A run of which all steps together may use so much."""

    def create(tx: Any) -> ids.RunId:
        held = Policy.model_validate({"budget": budget}).budget
        made = runs.run_create(
            tx, repository_id=machine.repository_id, objective="o", name=None, title=None, budget=held
        )
        return made[0].run_id

    return await machine.shop.database.write("run_create", create)


async def test_steps_side_by_side_share_what_is_left_of_their_run(tmp_path: Path) -> None:
    executors = registry.Registry([Reporting()])
    repository = repository_make(tmp_path / "repository")
    async with machine_start(tmp_path / "home", repository, executors=executors) as machine:
        run_id = await run_with(machine, output_tokens=100)
        both = [await machine.submit_to(run_id, executor="reporting", timeout_s=60) for _ in range(2)]
        for step_id in both:
            step = await machine.until(step_id)
            assert step.failure is not None
            assert step.failure.cause is states.FailureCause.BUDGET
            assert "140 of 100 output tokens" in step.failure.detail
        late = await machine.until(await machine.submit_to(run_id, executor="reporting"))
        assert late.attempts == 0


async def test_the_time_of_steps_side_by_side_is_counted_together(machine: Machine) -> None:
    run_id = await run_with(machine, duration_s=2)
    both = [await machine.submit_to(run_id, executor="fake-timeout") for _ in range(2)]
    for step_id in both:
        step = await machine.until(step_id)
        assert step.failure is not None
        assert step.failure.cause is states.FailureCause.BUDGET
    spent = machine.shop.database.read(lambda conn: usage.spent(conn, usage.of_run(run_id), now=database.utc_now()))
    assert spent.duration_ms < 3500  # Each for itself would have come to four seconds.


async def test_what_is_said_is_heard_when_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the growth of its output wakes who looks at it."""
    monkeypatch.setattr(metering, "_UNTOLD_S", 600.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    executors = registry.Registry([Reporting(f"read word <{pipe}; echo 70; exec sleep 600")])
    repository = repository_make(tmp_path / "repository")
    async with machine_start(tmp_path / "home", repository, executors=executors) as machine:
        step_id = await machine.submit(executor="reporting", budget={"output_tokens": 50}, timeout_s=20)
        await machine.until(step_id, states.StepState.RUNNING)
        await asyncio.to_thread(pipe.write_text, "go\n")
        step = await machine.until(step_id)
        assert step.failure is not None
        assert step.failure.cause is states.FailureCause.BUDGET


async def test_what_is_on_record_is_added_up_once_however_often_executors_tell_of_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering, "_GATHER_S", 0.0)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        run_id = await run_with(machine, output_tokens=100)
        step_id = await machine.submit_to(run_id, executor="fake-timeout", budget={"duration_s": 600})
        await machine.until(step_id, states.StepState.RUNNING)
        meters, added_up, looks = machine.shop.meters, 0, 0
        tells, of_run, has_looked = meters.told, usage.of_run, asyncio.Event()

        def told() -> Any:
            nonlocal looks
            looks += 1
            has_looked.set()
            return tells()

        def counted(run_id: str) -> usage.Scope:
            nonlocal added_up
            added_up += 1
            return of_run(run_id)

        monkeypatch.setattr(meters, "told", told)
        monkeypatch.setattr(usage, "of_run", counted)
        async with asyncio.timeout(20):
            while looks < 10:
                has_looked.clear()
                meters.news.announce()
                await has_looked.wait()
        assert added_up <= 1
        await machine.cancel(step_id)
        await machine.until(step_id)


async def test_a_budget_that_gates_lets_work_end_and_wait(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(
            executor="fake-success",
            policy={"budget": {"cost_usd": 0.1, "then": "gate"}},
            params={"usage": SPENT},
        )
    )
    assert step.state is states.StepState.WAITING


async def test_a_check_that_did_not_pass_can_wait_for_a_person(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(
            executor="fake-success",
            policy={"validations": "gate"},
            validations=[{"name": "never", "command": "false"}],
        )
    )
    assert step.state is states.StepState.WAITING


async def test_a_policy_without_questions_fails_the_step_that_asks(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="fake-blocker", policy={"questions": "fail"}))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.POLICY


async def test_deletions_are_counted_on_the_actual_diff(machine: Machine) -> None:
    patch = (
        "diff --git a/file-0.txt b/file-0.txt\ndeleted file mode 100644\n--- a/file-0.txt\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-line 0\n"
    )
    task = {"executor": "patch", "patch": patch, "policy": {"deletions": {"over": 0, "then": "fail"}}}
    step = await machine.until(await machine.submit(**task))
    assert step.failure is not None
    assert "1 file was deleted" in step.failure.detail
