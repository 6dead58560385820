"""The checks of a task: run one after the other in the attempt's worktree, their output kept as evidence.

Deliberately judges nothing: `verdict` does. Called by `conclusion`. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local_daemon.artifacts.records import ArtifactKind
from local_daemon.config import plain_files
from local_daemon.processes import environment
from local_daemon.protocol import specs, states
from local_daemon.scheduler import outputs, owner_rights, parts, workshop
from local_daemon.storage.transaction import Transaction
from local_daemon.validations import runner
from local_daemon.validations import services as validations
from local_daemon.validations.records import Validation
from local_daemon.worktrees import worktree

_OUT_OF_REACH = (FileNotFoundError, NotADirectoryError, PermissionError, plain_files.NotPlain)
"""What reading an output says where the check has left nothing there to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedCheck:
    """A check that ended, its output stored and not on record yet; None where it printed nothing, or nothing that could
    be kept: then `warnings` say so. `no_answer` says why it has neither passed nor failed nor taken too long, if so."""

    name: str
    command: str
    verdict: states.ValidationVerdict
    exit_code: int | None
    duration_ms: int
    no_answer: str
    stdout: parts.Part | None
    stderr: parts.Part | None
    warnings: Sequence[str] = ()

    @property
    def parts(self) -> list[parts.Part]:
        """What it printed, in the order in which it is recorded."""
        return [part for part in (self.stdout, self.stderr) if part is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The checks that ended with a verdict. `survivors` counts processes of a check that could not be ended."""

    finished: Sequence[FinishedCheck] = ()
    survivors: int = 0


async def checks_run(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, *, cancelled: asyncio.Event
) -> Checked:
    """Run every check whatever the one before came to, so that the planner sees all verdicts; a cancel stops here, and
    so does a check of which somebody may still work in the worktree. Raises StorageFull."""
    finished: list[FinishedCheck] = []
    for spec in lease.task.validations:
        if cancelled.is_set():
            break
        with outputs.room_required():
            check, survivors = await _check_run(shop, lease, place, spec, cancelled=cancelled)
        if check is not None:
            finished.append(check)
        if survivors:
            return Checked(finished=finished, survivors=survivors)
    return Checked(finished=finished)


def check_record(tx: Transaction, lease: workshop.Lease, check: FinishedCheck) -> Validation:
    """Put a finished check and its output on record."""
    for part in check.parts:
        parts.part_record(tx, lease, part)
    return validations.validation_record(
        tx,
        step_id=lease.step.step_id,
        attempt_id=lease.attempt.attempt_id,
        run_id=lease.step.run_id,
        repository_id=lease.step.repository_id,
        name=check.name,
        command=check.command,
        verdict=check.verdict,
        exit_code=check.exit_code,
        duration_ms=check.duration_ms,
        stdout_artifact_id=None if check.stdout is None else check.stdout.artifact_id,
        stderr_artifact_id=None if check.stderr is None else check.stderr.artifact_id,
    )


async def _check_run(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    place: worktree.Worktree,
    spec: specs.ValidationSpec,
    *,
    cancelled: asyncio.Event,
) -> tuple[FinishedCheck | None, int]:
    """The check, unless a cancel ended it, and how many of its processes could not be ended."""
    outcome = await runner.validation_run(
        runner.ValidationCommand(name=spec.name, command=spec.command, timeout_s=spec.timeout_s),
        worktree=place.path,
        env=environment.environment_select(shop.environment, passed_names=shop.passed_names),
        scratch=shop.scratch_path(lease.attempt.attempt_id),
        attempt_id=lease.attempt.attempt_id,
        cancelled=cancelled,
    )
    await owner_rights.rights_give_back(shop, lease.attempt.attempt_id, place.git_dir, outcome.stdout.parent)
    if outcome.verdict is None:
        return None, outcome.survivors
    stdout, stderr, warnings = await asyncio.to_thread(_outputs_keep, shop, lease, spec.name, outcome)
    check = FinishedCheck(
        name=spec.name,
        command=spec.command,
        verdict=outcome.verdict,
        exit_code=outcome.exit_code,
        duration_ms=outcome.duration_ms,
        no_answer=outcome.detail if outcome.verdict is states.ValidationVerdict.ERRORED else "",
        stdout=stdout,
        stderr=stderr,
        warnings=warnings,
    )
    return check, outcome.survivors


def _outputs_keep(
    shop: workshop.Workshop, lease: workshop.Lease, name: str, outcome: runner.ValidationOutcome
) -> tuple[parts.Part | None, parts.Part | None, list[str]]:
    """What it printed, and what to say of that which it has left nobody to read."""
    warnings = []

    def keep(output: Path, kind: ArtifactKind) -> parts.Part | None:
        try:
            return parts.part_of_output(shop, lease, output, kind=kind, name=f"{name}.{output.name}")
        except _OUT_OF_REACH:
            warnings.append(
                f"what the check {name} printed to {output.name} is not kept: it took that file away, locked it up or "
                "put something else in its place"
            )
            return None
        finally:
            # The next check may print as much again, and the disk has to hold that of one only. A folder may stay.
            with suppress(OSError):
                output.unlink()

    stdout = keep(outcome.stdout, ArtifactKind.VALIDATION_STDOUT)
    return stdout, keep(outcome.stderr, ArtifactKind.VALIDATION_STDERR), warnings
