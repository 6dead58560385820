"""What a directory is to git, looked at before a daemon takes a repository on, and what a name in it points at.

Reads only. Deliberately remembers nothing that may change: the repository noun stores what it needs. Called by
operation handlers and `doctor`. Tests: tests/unit/daemon/worktrees/test_inspection.py.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from local_daemon.worktrees import git, heads, plain_files

_HEAD = "HEAD"
_HEADS_KEPT = 64
_POINTER_BYTES_MAX = 64 * 1024

# The tree of a commit never changes, so of what was checked out lately it need not be asked again.
_heads: OrderedDict[tuple[Path, str], str] = OrderedDict()


class NotARepository(Exception):
    """There is no git repository with a worktree here, or git may not read it; create one or check its owner."""


class UnknownRevision(Exception):
    """No branch, tag or commit of this repository has that name; read the repository's branches first."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown branch, tag or commit: {name}")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """A repository as found. `head_commit` is None before the first commit, `branch` where HEAD is detached."""

    root: Path
    common_dir: Path
    head_commit: str | None
    branch: str | None
    is_bare: bool
    object_format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a name points at: a commit and the commit's tree, and the repository's shared directory."""

    commit: str
    tree: str
    common_dir: Path


async def repository_inspect(path: Path) -> RepositoryFacts:
    """Look at the repository that contains `path`. Raises NotARepository."""
    place = git.GitPlace(directory=path)
    try:
        answer = await git.git(
            place,
            "rev-parse", "--path-format=absolute", "--is-bare-repository", "--show-object-format", "--git-common-dir",
        )  # fmt: skip
    except git.GitFailed as error:
        raise NotARepository(error.detail) from error
    bare, object_format, common_dir = answer.line.split("\n")
    is_bare = bare == "true"
    root = Path(common_dir)
    if not is_bare:
        try:
            root = Path((await git.git(place, "rev-parse", "--path-format=absolute", "--show-toplevel")).line)
        except git.GitFailed as error:  # Somewhere within its .git.
            raise NotARepository(error.detail) from error
    head = await git.git(place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", accepted=(0, 1))
    branch = await git.git(place, "symbolic-ref", "--quiet", "--short", "HEAD", accepted=(0, 1))
    return RepositoryFacts(
        root=root,
        common_dir=Path(common_dir),
        head_commit=head.line or None,
        branch=branch.line or None,
        is_bare=is_bare,
        object_format=object_format,
    )


async def revision_resolve(repository_root: Path, name: str) -> Revision:
    """The commit and tree that a branch, tag, commit or HEAD names now. Raises UnknownRevision."""
    if not name or name.startswith("-") or "\n" in name:
        raise UnknownRevision(name)
    try:
        common_dir = common_dir_find(repository_root)
        known = _head_known(repository_root, common_dir) if name == _HEAD else None
        if known is not None:
            return known
        answer = await git.git(
            git.GitPlace(directory=repository_root),
            "rev-parse", f"{name}^{{commit}}", f"{name}^{{tree}}", "--",
        )  # fmt: skip
    except git.GitFailed as error:
        raise UnknownRevision(name) from error
    commit, tree, *_ = answer.line.split("\n")
    if name == _HEAD:
        _head_keep(common_dir, commit, tree)
    return Revision(commit=commit, tree=tree, common_dir=common_dir)


def _head_known(repository_root: Path, common_dir: Path) -> Revision | None:
    """What is checked out, where git has told of that commit before."""
    commit = heads.head_read(git_dir_find(repository_root) or repository_root, common_dir=common_dir)
    tree = None if commit is None else _heads.get((common_dir, commit))
    if commit is None or tree is None:
        return None
    _heads.move_to_end((common_dir, commit))
    return Revision(commit=commit, tree=tree, common_dir=common_dir)


def _head_keep(common_dir: Path, commit: str, tree: str) -> None:
    _heads[common_dir, commit] = tree
    if len(_heads) > _HEADS_KEPT:
        _heads.popitem(last=False)


def common_dir_find(repository_root: Path) -> Path:
    """Where the repository keeps what all its worktrees share, by what lies on the disk: git itself would follow what
    an attempt wrote into `commondir`, to a configuration of its making. Raises GitFailed where there is none."""
    git_dir = (git_dir_find(repository_root) or repository_root).resolve()
    is_linked = git_dir.parent.name == "worktrees" and (git_dir / "gitdir").exists()
    common_dir = git_dir.parent.parent if is_linked else git_dir
    if not (common_dir / "objects").is_dir():
        raise git.GitFailed(subcommand="rev-parse", exit_code=-1, detail="not a git repository")
    return common_dir


def git_dir_find(directory: Path) -> Path | None:
    """Where the checkout's own index lies; None where there is no checkout."""
    entry = directory / ".git"
    if entry.is_dir():
        return entry
    try:
        pointer = plain_files.plain_read(entry, bytes_max=_POINTER_BYTES_MAX)
    except OSError:
        return None
    # A checkout that is itself a worktree, or a submodule's.
    return directory / os.fsdecode(pointer).removeprefix("gitdir:").strip()
