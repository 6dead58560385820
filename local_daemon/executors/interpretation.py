"""From a process that has ended to a report whose words may leave the machine.

The counterpart of `launching`: an executor tells what the end means, here its words lose the paths of this machine and
the secrets it was given. Reads files that may be large, so it is called from a thread. Called by the scheduler.
Tests: tests/unit/daemon/executors/test_interpretation.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from local_daemon.executors import jsonl, port
from local_daemon.processes import capture, children, printed


def usage_so_far(executor: port.Executor, task: port.ExecutorTask, *, stdout: Path, stderr: Path) -> port.Usage:
    """What the executor has reported of its usage while it still works; nothing of it is final."""
    return executor.interpret(children.ExitStatus(exit_code=0), stdout=stdout, stderr=stderr, task=task).usage


class UsageMeter:
    """What an executor has reported of its usage, looked at again and again: each line of its output is read once.
    Blocks: call it from a thread, and from one at a time."""

    def __init__(self, executor: port.Executor, task: port.ExecutorTask, *, stdout: Path, stderr: Path) -> None:
        self._executor, self._task = executor, task
        self._stdout, self._stderr = stdout, stderr
        self._reading = executor.reading(task) if isinstance(executor, port.Metered) else None
        self._read_bytes = 0
        self._is_inside_long_line = False

    def usage(self) -> port.Usage:
        """By now; unknown while there is no output, or none that can be read."""
        try:
            if not self._stdout.is_file():
                return port.Usage()
            if self._reading is None:
                return usage_so_far(self._executor, self._task, stdout=self._stdout, stderr=self._stderr)
            self._advance(self._reading)
        except OSError:
            return port.Usage()
        return self._reading.usage

    def _advance(self, reading: port.Reading) -> None:
        with printed.printed_open(self._stdout) as file:
            file.seek(self._read_bytes)
            while piece := file.readline(jsonl.LINE_BYTES):
                ends = piece.endswith(b"\n")
                if not ends and len(piece) < jsonl.LINE_BYTES:
                    return  # The rest of this line is still to come.
                self._read_bytes += len(piece)
                if ends and not self._is_inside_long_line:
                    reading.read(piece)
                self._is_inside_long_line = not ends


def attempt_interpret(
    executor: port.Executor,
    task: port.ExecutorTask,
    status: children.ExitStatus,
    *,
    stdout: Path,
    stderr: Path,
    home: Path | None,
    directories: Mapping[str, Path],
    secrets: Mapping[str, str],
) -> port.ExecutorReport:
    """What the executor says of its run, cleaned as its log is (`capture.clean_log`)."""
    report = executor.interpret(status, stdout=stdout, stderr=stderr, task=task)

    def clean(text: str) -> str:
        return capture.clean_text(
            text, worktree_root=task.worktree, home=home, directories=directories, secrets=secrets
        )

    return replace(
        report,
        summary=clean(report.summary),
        detail=clean(report.detail),
        questions=tuple(clean(question) for question in report.questions),
        warnings=tuple(clean(warning) for warning in report.warnings),
    )
