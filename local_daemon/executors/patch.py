"""The executor `patch`: the TaskSpec carries a unified diff, and git applies all of it or nothing.

The one executor without a model: what the planner wrote is what changes. Git checks each path of the patch itself;
here its refusal is put in words. Tests: tests/unit/daemon/executors/test_patch.py.
"""

import re
from pathlib import Path

from local_daemon.executors import port, probes
from local_daemon.processes import children, printed
from local_daemon.protocol import limits, states
from local_daemon.worktrees import git, worktree

_STDERR_BYTES_MAX = 8 * 1024
_SUBMODULE = re.compile(
    rb"^(?:index [0-9a-f]+\.\.[0-9a-f]+|(?:old|new|new file|deleted file) mode) 160000\r?$", re.MULTILINE
)
_GIT_MINIMUM = (2, 38)
"""The first that merges without a worktree (`merge-tree --write-tree`), by which results reach branches; worktrees are
listed as 2.36 and later do."""
_OUTSIDE = ("invalid path '", "is beyond a symbolic link")


class PatchExecutor:
    """Applies the task's patch in its worktree."""

    name = "patch"

    def __init__(self) -> None:
        self._probe = probes.VersionProbe("git", "version", minimum=_GIT_MINIMUM)

    async def availability(self) -> port.Availability:
        """Whether git answers."""
        return await self._probe.availability()

    def presence(self) -> port.Availability:
        """Whether git is there."""
        return self._probe.presence()

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """`git apply` of the patch, from a file in scratch. Raises TaskUnsuitable."""
        if not task.patch:
            raise port.TaskUnsuitable("the executor `patch` needs a patch")
        try:
            content = task.patch.encode("utf-8", errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise port.TaskUnsuitable("the patch is not valid Unicode text") from error
        if len(content) > limits.PATCH_BYTES:
            raise port.TaskUnsuitable(f"the patch is longer than {limits.PATCH_BYTES} bytes")
        if _SUBMODULE.search(content):
            # Git takes it and does nothing: to files, a submodule is a folder that is there already.
            raise port.TaskUnsuitable("the patch changes a submodule, which only git in a checkout can")
        patch_path = task.scratch / "task.patch"
        return port.Launch(
            argv=git.patch_apply_argv(patch_path),
            # Planners, and JSON in between, easily lose the last newline, without which git calls a patch corrupt.
            files={patch_path: content if content.endswith(b"\n") else content + b"\n"},
            passed_names=git.PASSED_NAMES,
            values=worktree.patch_apply_environment(task.worktree),
        )

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """Applied, or why not, in git's words."""
        if status.is_success:
            return port.ExecutorReport(outcome=port.Outcome.SUCCEEDED, summary="patch applied")
        with printed.printed_open(stderr) as file:
            said = git.stderr_clean(file.read(_STDERR_BYTES_MAX), task.worktree).replace("error: ", "")
        if any(sign in said for sign in _OUTSIDE):
            return port.ExecutorReport(
                outcome=port.Outcome.FAILED,
                failure_kind=states.FailureKind.POLICY,
                detail=f"the patch touches a path outside the worktree, or `.git`: {said}",
            )
        return port.ExecutorReport(outcome=port.Outcome.FAILED, detail=f"the patch does not apply: {said or status}")
