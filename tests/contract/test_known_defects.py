"""Known defects of daemons of this kind, each with the test that shows this one to do better.

A table of what can go wrong, by letter, and where it is tried; what nothing else tries is tried here. A test that is
renamed or removed fails `test_every_defect_is_tried_where_the_table_says`.
"""

import ast
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from local_daemon.artifacts.records import ArtifactKind
from local_daemon.attempts import selectors as attempts
from local_daemon.executors import registry
from local_daemon.processes import children, latch
from local_daemon.protocol import limits, specs, states
from local_daemon.protocol.states import StepEvent, StepState
from tests.integration.daemon.machine import machine_start, repository_make
from tests.record import Record

TESTS = Path(__file__).parents[1]
TRIED = {
    "a: edits lost with their worktree": (
        "integration/daemon/test_execution.py", "test_a_failed_step_keeps_its_edits",
    ),
    "b: changed files not kept": (
        "integration/daemon/test_execution.py",
        "test_a_patch_is_applied_recorded_and_kept_outside_the_users_branches",
    ),
    "c: a policy that is silently no rule": (
        "unit/daemon/policies/test_sources.py", "test_what_is_not_valid_is_named",
    ),
    "d: another executor without a word": (
        "contract/test_known_defects.py", "test_a_missing_program_fails_the_step_before_anything_starts",
    ),
    "d: another executor at a retry": (
        "contract/test_known_defects.py", "test_every_attempt_of_a_step_has_the_executor_that_was_asked_for",
    ),
    "e: a state machine nobody enforces": (
        "lifecycle/test_record_machine.py", "refuse",
    ),
    "f: foreign keys off": (
        "unit/daemon/storage/test_database.py", "test_foreign_keys_are_enforced",
    ),
    "g: artifacts of attempts collide": (
        "contract/test_known_defects.py", "test_artifacts_of_the_same_name_never_collide",
    ),
    "h: no evidence on timeout, nor an end of what left its session": (
        "integration/daemon/test_cancel.py", "test_a_timeout_ends_the_whole_tree_and_leaves_signed_evidence",
    ),
    "h: no evidence on cancel": (
        "integration/daemon/test_execution.py", "test_a_cancelled_step_ends_cancelled_and_keeps_its_edits",
    ),
    "i: a stale lock after a crash": (
        "integration/daemon/test_bootstrap.py", "test_after_kill_9_the_daemon_starts_again_and_knows_everything",
    ),
    "i: a stale lock after a crash at work": (
        "integration/daemon/test_bootstrap.py",
        "test_after_kill_9_at_work_nothing_is_left_locked_and_the_next_step_works",
    ),
    "j: the newest attempt is another one": (
        "unit/daemon/steps/test_results.py", "test_a_result_tells_the_newest_attempts_story",
    ),
    "k: a profile's sandbox is ignored": (
        "integration/daemon/executors/test_operator.py", "test_a_profile_changes_the_command_line",
    ),
    "l: a hidden cap of thirty minutes": (
        "contract/test_known_defects.py", "test_the_clock_that_ends_work_is_the_tasks_own",
    ),
    "m: an approval that continues nothing": (
        "unit/daemon/operations/test_gates.py", "test_approving_the_digest_shown_lets_the_step_go_on",
    ),
    "n: a run completes and runs again": (
        "lifecycle/test_run_lifecycle.py",
        "test_a_run_completes_exactly_when_it_is_closed_and_every_step_has_succeeded",
    ),
    "o: any web page may write": (
        "integration/daemon/test_http_api.py", "test_a_web_page_is_refused_whatever_token_it_shows",
    ),
    "o: any process may write": (
        "integration/daemon/test_http_api.py", "test_without_the_token_nobody_gets_in",
    ),
    "p: cost and tokens thrown away": (
        "integration/daemon/test_lost_usage.py", "test_what_ended_by_itself_has_told_all",
    ),
    "q: an older bridge that can't carry the goal": (
        "integration/daemon/test_mcp.py", "test_the_older_names_carry_a_task_through",
    ),
    "q: a tool that can't carry the goal": (
        "contract/test_tools.py", "test_a_tool_takes_exactly_what_its_operation_does",
    ),
    "r: a cancel that cancels nothing": (
        "integration/daemon/executors/test_conformance.py",
        "test_a_cancel_ends_it_and_all_it_started_and_keeps_its_edits",
    ),
    "r: a cancel that a broker does not take": (
        "integration/daemon/executors/test_antigravity.py",
        "test_a_cancel_that_the_broker_does_not_take_is_unconfirmed_and_leaves_the_worktree",
    ),
    "s: one step's cancel ends another": (
        "contract/test_known_defects.py", "test_cancelling_one_step_of_a_run_leaves_its_neighbour_at_work",
    ),
}  # fmt: skip


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """An empty record."""
    with closing(Record(tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize(("file", "name"), TRIED.values(), ids=TRIED.keys())
def test_every_defect_is_tried_where_the_table_says(file: str, name: str) -> None:
    defined = ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))
    assert name in {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_attempt_of_a_step_has_the_executor_that_was_asked_for(record: Record) -> None:
    task = specs.TaskSpec(goal="g", executor="codex")
    step = record.step(record.run(record.repository()), task)
    seen = []
    for _ in range(3):
        seen.append(record.work(record.step_now(step)).executor)
        record.advance(
            step, StepEvent.FAILED, failure=specs.Failure(kind=states.FailureKind.EXECUTOR, detail="it broke")
        )
        record.retry(step)
    assert seen == ["codex"] * 3


def test_artifacts_of_the_same_name_never_collide(record: Record) -> None:
    """Neither those of two steps of a run nor those of two attempts of a step."""
    run = record.run(record.repository())
    made = []
    for step in (record.step(run), record.step(run)):
        for _ in range(2):
            attempt = record.work(record.step_now(step))
            made.append(record.artifact(attempt, ArtifactKind.STDOUT).artifact_id)
            record.advance(
                step, StepEvent.FAILED, failure=specs.Failure(kind=states.FailureKind.EXECUTOR, detail="it broke")
            )
            record.retry(step)
    kept = [
        record.connection.execute("SELECT * FROM artifacts WHERE artifact_id = ?", (each,)).fetchone() for each in made
    ]
    assert len(set(made)) == len(kept) == 4
    assert len({row["attempt_id"] for row in kept}) == 4
    assert {row["name"] for row in kept} == {"stdout.log"}


@pytest.mark.parametrize("timeout_s", [1800, 1801, limits.STEP_TIMEOUT_S_MAX])
async def test_the_clock_that_ends_work_is_the_tasks_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: int
) -> None:
    waits, clocks = latch.RunningProcess.wait, []

    async def wait(process: latch.RunningProcess, limit_s: float | None) -> children.ExitStatus:
        clocks.append(limit_s)
        return await waits(process, limit_s)

    monkeypatch.setattr(latch.RunningProcess, "wait", wait)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        step = await machine.until(await machine.submit(executor="fake-success", timeout_s=timeout_s))
        assert step.state is StepState.COMPLETED
    assert clocks == [timeout_s]


async def test_a_missing_program_fails_the_step_before_anything_starts(tmp_path: Path) -> None:
    installed = tmp_path / "bin"
    installed.mkdir()
    (installed / "claude").write_text("#!/bin/sh\nexit 0\n")
    (installed / "claude").chmod(0o755)
    starts = tmp_path / "starts"
    executors = registry.registry_build(
        {"PATH": f"{installed}:/usr/bin:/bin", "ROPEWAY_ENV": "test", "ROPEWAY_FAKE_STARTS": str(starts)}
    )
    repository = repository_make(tmp_path / "repository")
    async with machine_start(tmp_path / "home", repository, executors=executors) as machine:
        retry = {"max_attempts": 2, "on": ["executor"]}
        step = await machine.until(await machine.submit(executor="codex", retry=retry))
        assert step.failure is not None
        assert step.failure.kind is states.FailureKind.EXECUTOR
        assert "codex is not installed" in step.failure.detail
        found = machine.shop.database.read(lambda conn: attempts.attempts_list(conn, step.step_id))
        assert [(each.executor, each.started_at) for each in found] == [("codex", None)] * 2
    assert not starts.exists()


async def test_cancelling_one_step_of_a_run_leaves_its_neighbour_at_work(tmp_path: Path) -> None:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        run_id = await machine.run()
        first = await machine.submit_to(run_id, executor="fake-timeout")
        second = await machine.submit_to(run_id, executor="fake-timeout")
        for step_id in (first, second):
            await machine.until(step_id, StepState.RUNNING)
        for step_id, other in ((first, second), (second, None)):
            await machine.cancel(step_id)
            assert (await machine.until(step_id)).state is StepState.CANCELLED
            assert other is None or machine.step(other).state is StepState.RUNNING
