"""Whether a repository is the one it was, wherever it lies now: by the commits that it holds; and what a copy lacks.

Reads only, and fetches nothing. Deliberately knows no record: whoever asks says which commits. Called by operation
handlers. Tests: tests/unit/daemon/worktrees/test_sameness.py.
"""

from collections.abc import Collection
from pathlib import Path

from local_daemon.worktrees import git, pruning, references


async def commits_held(common_dir: Path, commits: Collection[str], *, trusted_root: Path) -> frozenset[str]:
    """Which of these commits the repository with this shared directory holds. Raises GitFailed."""
    if not commits:
        return frozenset()
    answer = await git.git(
        references.place_at(common_dir, trusted_root=trusted_root),
        "cat-file", "--batch-check=%(objectname) %(objecttype)",
        stdin="".join(f"{commit}\n" for commit in commits).encode(),
    )  # fmt: skip
    found = (line.partition(" ") for line in answer.line.splitlines())
    return frozenset(name for name, _, kind in found if kind == "commit")


async def references_held(common_dir: Path, *, trusted_root: Path) -> frozenset[str]:
    """The references to results in the repository with this shared directory. Raises GitFailed."""
    place = references.place_at(common_dir, trusted_root=trusted_root)
    listed = await git.git(place, "for-each-ref", "--format=%(refname)", pruning.ROOT)
    return frozenset(listed.line.splitlines())
