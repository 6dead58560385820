"""Worktrees: one directory an attempt works in, made from a commit and taken away when everything in it is recorded.

Deliberately records nothing itself (`changes.py` does) and decides nothing about retries. A worktree is locked, so that
a person's `git worktree prune` leaves it alone. Called by the scheduler and recovery.
Tests: tests/unit/daemon/worktrees/test_worktree.py.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from local_daemon.worktrees import git, inspection

INDEX_NAME = "ropeway-index"
"""Our own index of a worktree, beside git's: an executor's `git add`, or a lock it left, doesn't reach it."""

_LOCK_REASON = "ropeway"

# `git worktree add` and `remove` of one repository trip over each other; with other repositories they run freely.
_repository_locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()


class WorktreeMissing(Exception):
    """The repository knows no worktree at this place; it was removed, or never finished being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A directory with the files of `base_commit`, and where git keeps its administration."""

    repository_root: Path
    path: Path
    git_dir: Path
    base_commit: str
    base_tree: str

    @property
    def index(self) -> Path:
        """Our own index: the files as checked out, later as last recorded."""
        return self.git_dir / INDEX_NAME

    @property
    def place(self) -> git.GitPlace:
        """Where git works on this worktree with our index, whatever stands in its `.git`."""
        return git.GitPlace(directory=self.path, git_dir=self.git_dir, index=self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorktreeEntry:
    """A worktree as the repository lists it. `is_ours` tells those that a daemon made."""

    path: Path
    head_commit: str | None
    is_ours: bool
    is_prunable: bool


async def worktree_create(repository_root: Path, *, path: Path, base: str) -> Worktree:
    """Check out `base` (branch, tag, commit or HEAD) in a new directory, on no branch.
    Raises UnknownRevision, GitFailed."""
    revision = await inspection.revision_resolve(repository_root, base)
    path.parent.mkdir(parents=True, exist_ok=True)
    async with _repository_lock(repository_root):
        await git.git(
            git.GitPlace(directory=repository_root),
            "worktree", "add", "--quiet", "--detach", "--lock", "--reason", _LOCK_REASON, "--",
            str(path), revision.commit,
        )  # fmt: skip
    # Read now, while nobody but git has written here; an executor may rewrite this file later.
    git_dir = Path((path / ".git").read_text().removeprefix("gitdir: ").rstrip("\n"))
    # Git replaces an index, never rewrites it, so a link keeps this one as it is, with the time git judges it by.
    os.link(git_dir / "index", git_dir / INDEX_NAME)
    return Worktree(
        repository_root=repository_root,
        path=path,
        git_dir=git_dir,
        base_commit=revision.commit,
        base_tree=revision.tree,
    )


async def worktree_adopt(repository_root: Path, *, path: Path, base_commit: str) -> Worktree:
    """The worktree that an earlier daemon made at `path`, as recorded. Raises WorktreeMissing."""
    git_dir = await _git_dir_find(repository_root, path)
    if git_dir is None or not path.is_dir():
        raise WorktreeMissing(f"no worktree {path.name}")
    revision = await inspection.revision_resolve(repository_root, base_commit)
    return Worktree(
        repository_root=repository_root,
        path=path,
        git_dir=git_dir,
        base_commit=revision.commit,
        base_tree=revision.tree,
    )


async def worktree_list(repository_root: Path) -> list[WorktreeEntry]:
    """Every worktree of the repository, the main one first."""
    answer = await git.git(git.GitPlace(directory=repository_root), "worktree", "list", "--porcelain", "-z")
    entries = []
    for record in answer.stdout.split(b"\0\0"):
        lines = [os.fsdecode(line) for line in record.split(b"\0") if line]
        if lines:
            facts = dict((line.split(" ", 1) + [""])[:2] for line in lines)
            entries.append(
                WorktreeEntry(
                    path=Path(facts["worktree"]),
                    head_commit=facts.get("HEAD"),
                    is_ours=facts.get("locked") == _LOCK_REASON,
                    is_prunable="prunable" in facts,
                )
            )
    return entries


async def worktree_discard(repository_root: Path, *, path: Path) -> None:
    """Take a worktree away with everything in it, also a half-made one; nothing happens where there is none.
    Only for what `changes.worktree_remove` found recorded, or where no executor ever started."""
    async with _repository_lock(repository_root):
        removal = await git.git(
            git.GitPlace(directory=repository_root),
            "worktree", "remove", "--force", "--force", "--", str(path),
            accepted=(0, 128),
        )  # fmt: skip
        if removal.exit_code != 0:
            # An executor deleted or rewrote `.git`, took away write permission, or git was killed half-way.
            await asyncio.to_thread(_tree_delete, path)
            git_dir = await _git_dir_find(repository_root, path)
            if git_dir is not None:
                await asyncio.to_thread(_tree_delete, git_dir)


async def _git_dir_find(repository_root: Path, path: Path) -> Path | None:
    # Found from the repository's side: the worktree's own `.git` may say anything.
    answer = await git.git(
        git.GitPlace(directory=repository_root), "rev-parse", "--path-format=absolute", "--git-common-dir"
    )
    wanted = path.resolve() / ".git"
    for pointer in Path(answer.line).glob("worktrees/*/gitdir"):
        if Path(os.fsdecode(pointer.read_bytes()).rstrip("\n")) == wanted:
            return pointer.parent
    return None


def _tree_delete(directory: Path) -> None:
    def make_writable_and_retry(function: Callable[[str], object], name: str, _: object) -> None:
        with suppress(FileNotFoundError):
            os.chmod(os.path.dirname(name), 0o700)
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, 0o700)
            function(name)

    if directory.exists():
        shutil.rmtree(directory, onerror=make_writable_and_retry)


def _repository_lock(repository_root: Path) -> asyncio.Lock:
    return _repository_locks.setdefault(repository_root, asyncio.Lock())
