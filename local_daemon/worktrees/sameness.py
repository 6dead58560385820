"""Whether a repository is the one it was, wherever it lies now: by the commits that it holds; and what a copy lacks.

Reads only, and fetches nothing. Deliberately knows no record: whoever asks says which commits. Called by operation
handlers. Tests: tests/unit/daemon/worktrees/test_sameness.py.
"""

from collections.abc import Collection
from pathlib import Path

from local_daemon.worktrees import git, pruning


async def commits_held(root: Path, commits: Collection[str]) -> frozenset[str]:
    """Which of these commits the repository at `root` holds. Raises GitFailed."""
    if not commits:
        return frozenset()
    answer = await git.git(
        git.GitPlace(directory=root),
        "cat-file", "--batch-check=%(objectname) %(objecttype)",
        stdin="".join(f"{commit}\n" for commit in commits).encode(),
    )  # fmt: skip
    found = (line.partition(" ") for line in answer.line.splitlines())
    return frozenset(name for name, _, kind in found if kind == "commit")


async def references_held(root: Path) -> frozenset[str]:
    """The references to results in the repository at `root`. Raises GitFailed."""
    listed = await git.git(git.GitPlace(directory=root), "for-each-ref", "--format=%(refname)", pruning.ROOT)
    return frozenset(listed.line.splitlines())
