"""The checks of a task: run one after the other in the attempt's worktree, their output kept as evidence.

Deliberately judges nothing: `verdict` does. Called by `conclusion`. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_daemon.artifacts import services as artifacts
from local_daemon.artifacts.records import Artifact, ArtifactKind, Blob
from local_daemon.processes import capture, environment
from local_daemon.scheduler import workshop
from local_daemon.storage.transaction import Transaction
from local_daemon.validations import runner
from local_daemon.validations import services as validations
from local_daemon.validations.records import Validation
from local_daemon.worktrees import worktree


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedCheck:
    """A check that ended, its output stored and not on record yet; None where it printed nothing."""

    name: str
    command: str
    outcome: runner.ValidationOutcome
    stdout: Blob | None
    stderr: Blob | None


async def checks_run(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, *, cancelled: asyncio.Event
) -> list[FinishedCheck]:
    """Run every check whatever the one before came to, so that the planner sees all verdicts; a cancel stops here."""
    finished = []
    output_dir = shop.scratch_path(lease.attempt.attempt_id) / "checks"
    output_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    env = environment.environment_select(shop.environment, passed_names=shop.passed_names)
    for spec in lease.task.validations:
        outcome = await _run_unless(
            cancelled,
            runner.validation_run(
                runner.ValidationCommand(name=spec.name, command=spec.command, timeout_s=spec.timeout_s),
                worktree=place.path,
                env=env,
                output_dir=output_dir,
                attempt_id=lease.attempt.attempt_id,
            ),
        )
        if outcome is None:
            break
        stdout, stderr = await asyncio.to_thread(_outputs_keep, shop, lease, outcome)
        finished.append(
            FinishedCheck(name=spec.name, command=spec.command, outcome=outcome, stdout=stdout, stderr=stderr)
        )
    return finished


async def _run_unless(
    cancelled: asyncio.Event, run: Coroutine[Any, Any, runner.ValidationOutcome]
) -> runner.ValidationOutcome | None:
    """The outcome of a check; None where a cancel came first, which ends the check and everything it started."""
    running, cancels = asyncio.ensure_future(run), asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait((running, cancels), return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else None
    finally:
        # Cancelled, the runner still sees every process of the check gone before it lets go.
        for waiting in (running, cancels):
            waiting.cancel()
        await asyncio.gather(running, cancels, return_exceptions=True)


def check_record(tx: Transaction, lease: workshop.Lease, check: FinishedCheck) -> Validation:
    """Put a finished check and its output on record."""
    stdout = _output_record(tx, lease, check.stdout, kind=ArtifactKind.VALIDATION_STDOUT, name=f"{check.name}.stdout")
    stderr = _output_record(tx, lease, check.stderr, kind=ArtifactKind.VALIDATION_STDERR, name=f"{check.name}.stderr")
    return validations.validation_record(
        tx,
        step_id=lease.step.step_id,
        attempt_id=lease.attempt.attempt_id,
        run_id=lease.step.run_id,
        repository_id=lease.step.repository_id,
        name=check.name,
        command=check.command,
        verdict=check.outcome.verdict,
        exit_code=check.outcome.exit_code,
        duration_ms=check.outcome.duration_ms,
        stdout_artifact_id=None if stdout is None else stdout.artifact_id,
        stderr_artifact_id=None if stderr is None else stderr.artifact_id,
    )


def output_keep(shop: workshop.Workshop, lease: workshop.Lease, output: Path) -> Blob | None:
    """Clean a captured output of paths and secrets and store it; None where there is nothing in it."""
    if not output.exists() or output.stat().st_size == 0:
        return None
    cleaned = output.with_name(f"{output.name}.clean")
    capture.clean_log(
        output,
        cleaned,
        worktree_root=shop.worktree_path(lease.attempt.attempt_id),
        home=shop.operator_home,
        secrets=shop.secrets,
    )
    return shop.blobs.blob_put_file(cleaned)


def _outputs_keep(
    shop: workshop.Workshop, lease: workshop.Lease, outcome: runner.ValidationOutcome
) -> tuple[Blob | None, Blob | None]:
    return output_keep(shop, lease, outcome.stdout), output_keep(shop, lease, outcome.stderr)


def _output_record(
    tx: Transaction, lease: workshop.Lease, blob: Blob | None, *, kind: ArtifactKind, name: str
) -> Artifact | None:
    if blob is None:
        return None
    return artifacts.artifact_record(
        tx,
        step_id=lease.step.step_id,
        attempt_id=lease.attempt.attempt_id,
        run_id=lease.step.run_id,
        repository_id=lease.step.repository_id,
        kind=kind,
        name=name,
        media_type="text/plain",
        blob=blob,
    )
