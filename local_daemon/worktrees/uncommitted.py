"""What a checkout holds that is not committed: an attempt that begins at its HEAD sees none of it, and says so.

One command, bounded in time, that writes nothing. Files are counted, and a folder of nothing but new files as one;
their names stay here. Deliberately no guess: where git can't tell soon, nobody knows. Called by the scheduler, and by
handlers where a policy asks. Tests: tests/unit/daemon/worktrees/test_uncommitted.py.
"""

from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.protocol import specs
from local_daemon.worktrees import bindings, checkouts, configuration, git, references, worktree

TIMEOUT_S = 1.0
_OUTPUT_BYTES_MAX = 4 * 1024 * 1024
_HEAD = "HEAD"


async def uncommitted_beside(of: worktree.Worktree, *, repository_root: Path) -> specs.Uncommitted | None:
    """What the checkout at `repository_root` holds beside the commit that this worktree was just made from, which was
    its HEAD. None for a bare repository, and where git can't tell in time."""
    git_dir = bindings.git_dir_find(repository_root)
    if git_dir is None:
        return None
    # A directory of ours with a HEAD of its own, so that filters and settings are those from before the attempt.
    own = worktree.own_dir(of.path)
    try:
        (own / _HEAD).write_text(f"{of.base_commit}\n")
    except OSError:
        return None  # No room on the disk is for others to say.
    try:
        plain_files.pipe_refuse(git_dir / "index")
    except OSError:
        return None
    place = git.GitPlace(directory=repository_root, git_dir=own, common_dir=of.trusted_dir, index=git_dir / "index")
    return await _read(place)


async def uncommitted_in(repository_root: Path, *, trusted_root: Path) -> specs.Uncommitted | None:
    """What the checkout at `repository_root` holds beside its HEAD. None as above, and while an attempt has changed
    the repository's git configuration."""
    try:
        checkout = await checkouts.checkout_open(repository_root, trusted_root=trusted_root)
        refs = references.repository_place(repository_root, trusted_root=trusted_root)
        name = references.name_there(repository_root, _HEAD)
        head = await git.git(refs, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", accepted=(0, 1))
        with checkouts.head_at(checkout, head.line or None, trusted_root=trusted_root) as place:
            return await _read(place)
    except (configuration.ConfigurationChanged, git.GitFailed, OSError):
        return None


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
