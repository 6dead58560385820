"""Where git keeps a repository, by what lies on the disk, and whether that is still what was made known.

An attempt may write where the repository lies: put a pointer, a link or a directory of its own in the place of `.git`.
So what `.git` led to is kept with the record when the repository is made known, and compared each time somebody asks;
git itself is not asked, since it would follow what stands there. A `commondir` has no say (`references.py`). Whoever
means the change says so by relocating. Tests: tests/unit/daemon/worktrees/test_bindings.py.
"""

import os
from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.protocol import errors
from local_daemon.worktrees import git

_POINTER_BYTES_MAX = 64 * 1024

# What the record says, for those who have only the place: filled when the daemon starts, and by whoever changes it.
_bound: dict[Path, str] = {}


class RepositoryNotThere(git.GitFailed):
    """The repository is not at its place any more: moved, renamed or gone. Put it back, or say where it lies now:
    `ropeway repository relocate`."""

    def __init__(self) -> None:
        super().__init__(subcommand="rev-parse", exit_code=-1, detail=errors.default_message(RepositoryNotThere))

    def __str__(self) -> str:
        return self.detail


class RepositoryDiverted(git.GitFailed):
    """What stands at the repository's place leads git to another directory than the one that was made known. Look at
    its `.git`, and put it right; or, where you changed it yourself, say that it is the same repository:
    `ropeway repository relocate`."""

    def __init__(self) -> None:
        super().__init__(subcommand="rev-parse", exit_code=-1, detail=errors.default_message(RepositoryDiverted))

    def __str__(self) -> str:
        return self.detail


def binding_of(root: Path) -> str:
    """What the repository at `root` may be bound to, as it is now. Raises RepositoryNotThere."""
    return binding_make(root, common_dir_seen(root))


def bind(root: Path, binding: str | None) -> None:
    """From now on the repository at `root` is the one with this binding; None forgets what it was."""
    if binding is None:
        _bound.pop(root, None)
    else:
        _bound[root] = binding


def common_dir_find(root: Path) -> Path:
    """Where the repository keeps what all its worktrees share. Raises RepositoryNotThere, and RepositoryDiverted where
    that is not what was made known."""
    common_dir = common_dir_seen(root)
    bound = _bound.get(root)
    # What `binding_make` would say, in half the time: every step asks several times.
    if bound is not None and os.fspath(common_dir) != os.path.normpath(os.path.join(os.path.realpath(root), bound)):
        raise RepositoryDiverted
    return common_dir


def git_dir_find(directory: Path) -> Path | None:
    """Where the checkout's own index lies; None where there is no checkout."""
    entry = directory / ".git"
    if os.path.isdir(entry):
        return entry
    try:
        pointer = plain_files.plain_read(entry, bytes_max=_POINTER_BYTES_MAX)
    except OSError:
        return None
    # A checkout that is itself a worktree, or a submodule's.
    name = os.fsdecode(pointer).removeprefix("gitdir:").strip()
    return None if "\0" in name else directory / name


def binding_make(root: Path, common_dir: Path) -> str:
    """What binds the repository at `root` to its shared directory: how that is reached from there if it lies below, so
    that both may be moved; else where it is."""
    here, there = root.resolve(), common_dir.resolve()
    return os.path.relpath(there, here) if there.is_relative_to(here) else str(there)


def common_dir_seen(root: Path) -> Path:
    """As `common_dir_find`, whatever the repository was bound to. Raises RepositoryNotThere, also where nobody may look
    or what stands there is no path."""
    try:
        git_dir = (git_dir_find(root) or root).resolve()
    except RuntimeError:  # A loop of links.
        raise RepositoryNotThere from None
    is_linked = git_dir.parent.name == "worktrees" and os.path.exists(git_dir / "gitdir")
    common_dir = git_dir.parent.parent if is_linked else git_dir
    if not os.path.isdir(common_dir / "objects"):
        raise RepositoryNotThere
    return common_dir
