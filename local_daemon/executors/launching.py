"""From a task to a latched process: the files an executor asked for, its environment, the latch.

Deliberately records nothing: between the answer and its release the scheduler commits pid and start time.
Called by the scheduler. Tests: tests/unit/daemon/executors/test_launching.py.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from local_daemon.executors import port
from local_daemon.processes import environment, latch


def attempt_launch(
    executor: port.Executor,
    task: port.ExecutorTask,
    *,
    operator_environment: Mapping[str, str],
    passed_names: Collection[str],
    stdout: Path,
    stderr: Path,
    outcome: Path | None = None,
) -> latch.Latched:
    """Prepare the task and start its launcher, unreleased. `passed_names` are what policy lets through of the
    operator's environment, besides what the executor itself needs. Raises TaskUnsuitable, LaunchFailed."""
    launch = executor.prepare(task)
    for path, content in launch.files.items():
        with open(path, "wb", opener=_private) as file:
            file.write(content)
    return latch.launch(
        argv=launch.argv,
        cwd=task.worktree,
        env=environment.environment_select(
            operator_environment, passed_names={*passed_names, *launch.passed_names}, values=launch.values
        ),
        stdin=launch.stdin,
        stdout=stdout,
        stderr=stderr,
        attempt_id=task.attempt_id,
        outcome=outcome,
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
