"""An attempt from launch to report, as the scheduler drives it, in a worktree of a real repository."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_daemon.executors import launching, port
from local_daemon.processes import children, ending
from local_daemon.protocol import ids


@dataclass(frozen=True)
class Run:
    """One executor started in a worktree."""

    status: children.ExitStatus
    ended: ending.Ended
    report: port.ExecutorReport
    stdout: Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory as git's worktree is one, with one file."""
    directory = tmp_path / "tree"
    directory.mkdir()
    subprocess.run(["git", "init", "--quiet", str(directory)], check=True)
    (directory / "a.txt").write_text("one\ntwo\nthree\n")
    return directory


@pytest.fixture
def task(tree: Path, tmp_path: Path) -> Callable[..., port.ExecutorTask]:
    """A task for an attempt in that directory."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def task(**fields: Any) -> port.ExecutorTask:
        given = {
            "attempt_id": ids.new_id(ids.IdPrefix.ATTEMPT),
            "worktree": tree,
            "scratch": scratch,
            "goal": "try it",
            "timeout_s": 30,
        }
        return port.ExecutorTask(**{**given, **fields})

    return task


@pytest.fixture
def run(task: Callable[..., port.ExecutorTask], tmp_path: Path) -> Callable[..., Any]:
    """Run an executor to its end and read its report."""

    async def run(executor: port.Executor, **fields: Any) -> Run:
        given = task(**fields)
        stdout, stderr = tmp_path / "stdout", tmp_path / "stderr"
        running = launching.attempt_launch(
            executor, given, operator_environment=os.environ, passed_names=(), stdout=stdout, stderr=stderr
        ).release()
        status = await running.wait(30)
        ended = await running.terminate(grace_s=1)
        return Run(
            status=status,
            ended=ended,
            report=executor.interpret(status, stdout=stdout, stderr=stderr, task=given),
            stdout=stdout,
        )

    return run
