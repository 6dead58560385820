"""What a checkout holds that is not committed: an attempt that begins at its HEAD sees none of it, and says so.

One command, bounded in time, that writes nothing. Files are counted, and a folder of nothing but new files as one;
their names stay here. Deliberately no guess: where git can't tell soon, nobody knows. Called by the scheduler, and by
handlers where a policy asks. Tests: tests/unit/daemon/worktrees/test_uncommitted.py.
"""

import os
from pathlib import Path

from local_daemon.protocol import specs
from local_daemon.worktrees import configuration, git, inspection, worktree

TIMEOUT_S = 1.0
_OUTPUT_BYTES_MAX = 4 * 1024 * 1024
_HEAD = "HEAD"


async def uncommitted_beside(of: worktree.Worktree, *, repository_root: Path) -> specs.Uncommitted | None:
    """What the checkout at `repository_root` holds beside the commit that this worktree was just made from, which was
    its HEAD. None for a bare repository, and where git can't tell in time."""
    git_dir = _git_dir_of(repository_root)
    if git_dir is None:
        return None
    # A directory of ours with a HEAD of its own, so that filters and settings are those from before the attempt.
    own = worktree.own_dir(of.path)
    try:
        (own / _HEAD).write_text(f"{of.base_commit}\n")
    except OSError:
        return None  # No room on the disk is for others to say.
    place = git.GitPlace(directory=repository_root, git_dir=own, common_dir=of.trusted_dir, index=git_dir / "index")
    return await _read(place)


async def uncommitted_in(repository_root: Path) -> specs.Uncommitted | None:
    """What the checkout at `repository_root` holds beside its HEAD. None as above, and while an attempt has changed
    the repository's git configuration, whose filters this would run."""
    if _git_dir_of(repository_root) is None:
        return None
    try:
        await configuration.configuration_trusted(await inspection.common_dir_find(repository_root))
    except (configuration.ConfigurationChanged, git.GitFailed):
        return None
    return await _read(git.GitPlace(directory=repository_root))


async def _read(place: git.GitPlace) -> specs.Uncommitted | None:
    try:
        answer = await git.git(
            place,
            "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=dirty",
            timeout_s=TIMEOUT_S,
            max_output_bytes=_OUTPUT_BYTES_MAX,
        )  # fmt: skip
    except git.GitFailed:
        return None
    lines = [line for line in answer.stdout.split(b"\0") if line]
    untracked = sum(1 for line in lines if line.startswith(b"??"))
    return specs.Uncommitted(changed=len(lines) - untracked, untracked=untracked)


def _git_dir_of(repository_root: Path) -> Path | None:
    """Where the checkout's own index lies; None where there is no checkout."""
    entry = repository_root / ".git"
    if entry.is_dir():
        return entry
    try:
        pointer = entry.read_bytes()
    except OSError:
        return None
    # A checkout that is itself a worktree, or a submodule's.
    return repository_root / os.fsdecode(pointer).removeprefix("gitdir:").strip()
