"""Starting an attempt's process behind a latch: it exists, and can be recorded, before it does anything.

`launch` starts a launcher that waits for one word on its standard input and only then becomes the real program, under
the same pid. The caller commits pid and start time, then releases. If the daemon dies in between, the launcher reads
end of file and exits. Deliberately no timeouts or retries (the scheduler's). Called by the scheduler and
`validations/runner.py`. Tests: tests/unit/daemon/processes/test_latch.py.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from local_daemon.processes import children, ending, exits, process_table

NOT_STARTED_EXIT_CODE = 125
"""With what a launcher exits whose latch was never released."""

# The word comes over stdin, so no descriptor number is agreed upon and none can leak: after it stdin becomes the
# program's own. Everything variable is an argument, never text of the script. The code is one short line, written at
# once by the shell itself; whoever finds less than the whole line takes it for none.
#
# A launcher that stays is asked to end together with its program (every member of the family is), and must outlive it
# to tell how it ended. A signal that is caught, unlike one that is ignored, does in the program what it does in any
# other. What the shell has to say of a program that was ended (`Terminated`) is no word of the program's.
_LAUNCHER = (
    f'IFS= read -r word && [ "$word" = go ] || exit {NOT_STARTED_EXIT_CODE}; '
    'input=$1; outcome=$2; shift 2; [ -n "$outcome" ] || exec "$@" <"$input"; '
    ': >"$outcome" || exit 126; exec 3>&2 2>/dev/null; trap : TERM INT HUP QUIT; '
    '( exec 2>&3 3>&-; exec "$@" <"$input" ); code=$?; '
    'printf "%s\\n" "$code" >"$outcome"; exit "$code"'
)


class LauncherLost(Exception):
    """The launcher was gone before its latch was released: the program has certainly not started."""


class RunningProcess:
    """A released process and whatever it starts. Its owner always ends with `terminate`, also after a normal exit."""

    def __init__(self, child: subprocess.Popen[bytes], *, started_at: str, family: ending.Family) -> None:
        self._child = child
        self._family = family
        self._status: children.ExitStatus | None = None
        self.pid = child.pid
        self.started_at = started_at

    async def wait(self, timeout_s: float | None) -> children.ExitStatus:
        """How the process itself ended. Raises TimeoutError; the process is then untouched.
        Its children may still be running, and its pid stays taken, until `terminate`."""
        if self._status is None:
            if await exits.until_ended({self.pid}, timeout_s=timeout_s):
                raise TimeoutError(f"process {self.pid} still runs after {timeout_s} s")
            self._status = children.child_status(self._child)
        return self._status

    async def terminate(self, *, grace_s: float) -> ending.Ended:
        """End the process, its group and all its descendants: SIGTERM, `grace_s` later SIGKILL, then look.
        Safe to call again, and to await although the caller is being cancelled (shield it)."""
        ended = await ending.family_end(self._family, grace_s=grace_s)
        if self.pid not in ended.survivors and self._child.returncode is None:
            status = children.child_reap(self._child)
            self._status = self._status or status
        return ended

    @property
    def exit_status(self) -> children.ExitStatus | None:
        """How the process ended, as far as `wait` or `terminate` has seen; None while it runs."""
        return self._status


class Latched:
    """A launcher that waits. `pid` and `started_at` are final: the program will have the same."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        *,
        latch: int,
        started_at: str,
        family: ending.Family,
    ) -> None:
        self._child = child
        self._latch = latch
        self._family = family
        self.pid = child.pid
        self.started_at = started_at

    def release(self) -> RunningProcess:
        """Let the program start. Raises LauncherLost if the launcher has gone: nothing started, nothing will."""
        try:
            os.write(self._latch, b"go\n")
        except BrokenPipeError as error:
            children.child_reap(self._child)
            raise LauncherLost(f"launcher {self.pid} ended before its release") from error
        finally:
            os.close(self._latch)
        return RunningProcess(self._child, started_at=self.started_at, family=self._family)

    async def abort(self) -> None:
        """Close the latch unreleased and see the launcher gone: the program has certainly not started."""
        os.close(self._latch)
        if await exits.until_ended({self.pid}, timeout_s=1.0):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await exits.until_ended({self.pid}, timeout_s=None)
        children.child_reap(self._child)


def launch(
    *,
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    stdin: Path | None = None,
    attempt_id: str | None = None,
    outcome: Path | None = None,
) -> Latched:
    """Start a launcher for `argv` in its own session; output is appended to the two files, made if missing.
    With `outcome` the launcher stays as the program's parent, outlives it unless both are killed, and keeps that file
    for a later daemon: missing, the program never started; empty, it did; else it holds the exit code (128 + n also
    for signal n), with which the launcher ends.
    `env` is all the program sees; `attempt_id` adds the marker by which its descendants are found again.
    Raises LaunchFailed. A program that doesn't exist exits 127 (126: may not be run) after the release."""
    marked = dict(env) if attempt_id is None else {**env, ending.MARKER: attempt_id}
    reading, writing = os.pipe()  # Neither end is inheritable, so no other child can hold the latch open.
    try:
        with open(stdout, "ab") as output, open(stderr, "ab") as errors:
            child = children.child_start(
                ["/bin/sh", "-c", _LAUNCHER, "launcher", str(stdin or os.devnull), str(outcome or ""), *argv],
                cwd=cwd,
                env=marked,
                stdin=reading,
                stdout=output,
                stderr=errors,
            )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return Latched(
        child,
        latch=writing,
        started_at=_started_at(child),
        family=ending.Family(leader=child.pid, attempt_id=attempt_id, territory=cwd.resolve()),
    )


def _started_at(child: subprocess.Popen[bytes]) -> str:
    started_at = process_table.started_at(child.pid)
    if started_at is None:
        children.child_reap(child)
        raise children.LaunchFailed("the launcher ended at once")
    return started_at


async def terminate_shielded(process: RunningProcess, *, grace_s: float) -> ending.Ended:
    """`terminate`, finished even while the calling task is being cancelled; the cancellation is raised afterwards."""
    ending_task = asyncio.ensure_future(process.terminate(grace_s=grace_s))
    try:
        return await asyncio.shield(ending_task)
    except asyncio.CancelledError:
        await ending_task
        raise
