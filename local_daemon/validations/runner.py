"""Running one check in a worktree: a command line in, a verdict and two output files out.

The same guarantees as for an executor: its own session, an allow-listed environment, an end to what it may print, and
nothing of it left running afterwards, or the answer says how many are. Deliberately stores nothing and knows no step.
Called by the scheduler, one check after the other, and for the hook of a worktree.
Tests: tests/unit/daemon/validations/test_runner.py.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from local_daemon.processes import children, flood, latch
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stopped:
    """What it makes of a check that it was ended."""

    verdict: states.ValidationVerdict
    detail: str


async def validation_run(
    command: ValidationCommand,
    *,
    worktree: Path,
    env: Mapping[str, str],
    scratch: Path,
    attempt_id: str,
    cancelled: asyncio.Event,
) -> ValidationOutcome:
    """Run the check until it ends, its time is over, it has printed more than an attempt may, or somebody cancels; its
    output goes to a new folder in `scratch`, which is made where it is missing. Whatever it started is ended with it,
    also when the calling task is cancelled."""
    if scratch.is_symlink() or not scratch.is_dir():  # Nobody had it yet, or a check before it took it away.
        scratch.unlink(missing_ok=True)
        scratch.mkdir(mode=0o700, parents=True)
    # A name nobody knows before: no earlier run's output, nor what an earlier check put there instead, is in the way.
    output_dir = Path(tempfile.mkdtemp(prefix=f"{command.name}.", dir=scratch))
    stdout, stderr = output_dir / "stdout", output_dir / "stderr"
    for output in (stdout, stderr):
        output.touch(mode=0o600, exist_ok=False)
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
        return outcome(states.ValidationVerdict.ERRORED, None, str(error))
    try:
        status, stopped = await _end_wait(running, cancelled, (stdout, stderr), timeout_s=command.timeout_s)
    finally:
        ended = await latch.terminate_shielded(running, grace_s=_GRACE_S)
    survivors = len(ended.survivors)
    if status is None and cancelled.is_set():
        return outcome(None, None, "cancelled", survivors)
    if survivors:
        detail = f"{survivors} of its processes could not be ended"
        return outcome(states.ValidationVerdict.ERRORED, status, detail, survivors)
    if status is None:
        return outcome(stopped.verdict, None, stopped.detail)
    if status.exit_code in _CANNOT_RUN:
        return outcome(states.ValidationVerdict.ERRORED, status, str(status))
    if status.is_success:
        return outcome(states.ValidationVerdict.PASSED, status)
    return outcome(states.ValidationVerdict.FAILED, status, str(status))


async def _end_wait(
    running: latch.RunningProcess, cancelled: asyncio.Event, outputs: Sequence[Path], *, timeout_s: float
) -> tuple[children.ExitStatus | None, _Stopped]:
    """How the check ended by itself; None where something else came first, and what that makes of it if no cancel."""
    bytes_max = flood.OUTPUT_BYTES_MAX
    ends, cancels = asyncio.ensure_future(running.wait(timeout_s)), asyncio.ensure_future(cancelled.wait())
    floods = asyncio.ensure_future(flood.until_flooded(outputs, bytes_max=bytes_max))
    is_late = _Stopped(verdict=states.ValidationVerdict.TIMEOUT, detail=f"not finished after {timeout_s:g} s")
    is_loud = _Stopped(
        verdict=states.ValidationVerdict.ERRORED, detail=f"ended: it printed more than {bytes_max} bytes"
    )
    try:
        await asyncio.wait((ends, cancels, floods), return_when=asyncio.FIRST_COMPLETED)
        if not ends.done():
            return None, is_loud
        return ends.result(), is_late
    except TimeoutError:
        return None, is_late
    finally:
        for waiting in (ends, cancels, floods):
            waiting.cancel()
        await asyncio.gather(ends, cancels, floods, return_exceptions=True)
