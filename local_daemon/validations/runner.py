"""Running one check in a worktree: a command line in, a verdict and two output files out.

The same guarantees as for an executor: its own session, an allow-listed environment, and nothing of it left running
afterwards, or the answer says how many are. Deliberately stores nothing and knows no step. Called by the scheduler, one
check after the other, and for the hook of a worktree.
Tests: tests/unit/daemon/validations/test_runner.py.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from local_daemon.processes import children, latch
from local_daemon.protocol import states

_GRACE_S = 2.0
_CANNOT_RUN = frozenset({126, 127})
"""With what `sh` exits for a program that may not be run, or isn't there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationCommand:
    """One check: `command` is a line for `sh -c`; exit code 0 passes."""

    name: str
    command: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOutcome:
    """How a check ended. `verdict` is None where a cancel ended it; `exit_code` where it didn't exit by itself.
    `detail` says why it did not pass, `survivors` how many of its processes could not be ended."""

    verdict: states.ValidationVerdict | None
    exit_code: int | None
    duration_ms: int
    stdout: Path
    stderr: Path
    detail: str = ""
    survivors: int = 0


async def validation_run(
    command: ValidationCommand,
    *,
    worktree: Path,
    env: Mapping[str, str],
    output_dir: Path,
    attempt_id: str,
    cancelled: asyncio.Event,
) -> ValidationOutcome:
    """Run the check until it ends, its time is over or somebody cancels; its output goes to `<name>.stdout` and
    `<name>.stderr` in `output_dir`, which exists. Whatever it started is ended with it, also when the calling task is
    cancelled."""
    stdout, stderr = output_dir / f"{command.name}.stdout", output_dir / f"{command.name}.stderr"
    started = monotonic()

    def outcome(
        verdict: states.ValidationVerdict | None,
        status: children.ExitStatus | None,
        detail: str = "",
        survivors: int = 0,
    ) -> ValidationOutcome:
        return ValidationOutcome(
            verdict=verdict,
            exit_code=None if status is None else status.exit_code,
            duration_ms=round((monotonic() - started) * 1000),
            stdout=stdout,
            stderr=stderr,
            detail=detail,
            survivors=survivors,
        )

    try:
        latched = latch.launch(
            argv=("/bin/sh", "-c", command.command),
            cwd=worktree,
            env={**env, "ROPEWAY_VALIDATION": command.name},
            stdout=stdout,
            stderr=stderr,
            attempt_id=attempt_id,
        )
        running = latched.release()
    except (children.LaunchFailed, latch.LauncherLost) as error:
        _touch(stdout, stderr)
        return outcome(states.ValidationVerdict.ERRORED, None, str(error))
    status: children.ExitStatus | None = None
    try:
        status = await _end_wait(running, cancelled, timeout_s=command.timeout_s)
    finally:
        ended = await latch.terminate_shielded(running, grace_s=_GRACE_S)
    survivors = len(ended.survivors)
    if status is None and cancelled.is_set():
        return outcome(None, None, "cancelled", survivors)
    if survivors:
        detail = f"{survivors} of its processes could not be ended"
        return outcome(states.ValidationVerdict.ERRORED, status, detail, survivors)
    if status is None:
        return outcome(states.ValidationVerdict.TIMEOUT, None, f"not finished after {command.timeout_s:g} s")
    if status.exit_code in _CANNOT_RUN:
        return outcome(states.ValidationVerdict.ERRORED, status, str(status))
    if status.is_success:
        return outcome(states.ValidationVerdict.PASSED, status)
    return outcome(states.ValidationVerdict.FAILED, status, str(status))


async def _end_wait(
    running: latch.RunningProcess, cancelled: asyncio.Event, *, timeout_s: float
) -> children.ExitStatus | None:
    """How the check ended by itself; None where its time was over or a cancel came first."""
    ends, cancels = asyncio.ensure_future(running.wait(timeout_s)), asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait((ends, cancels), return_when=asyncio.FIRST_COMPLETED)
        return ends.result() if ends.done() else None
    except TimeoutError:
        return None
    finally:
        for waiting in (ends, cancels):
            waiting.cancel()
        await asyncio.gather(ends, cancels, return_exceptions=True)


def _touch(*paths: Path) -> None:
    for path in paths:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
