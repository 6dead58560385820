"""What a directory is to git, looked at before a daemon takes a repository on, and what a name in it points at.

Reads only. Deliberately remembers nothing that may change: the repository noun stores what it needs. Called by
operation handlers and `doctor`. Tests: tests/unit/daemon/worktrees/test_inspection.py.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from local_daemon.worktrees import bindings, configuration, git, heads, references

_HEAD = "HEAD"
_HEADS_KEPT = 64

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
        _pipes_refuse(path)
        answer = await git.git(place, "rev-parse", "--path-format=absolute", "--is-bare-repository", "--git-common-dir")
    except git.GitFailed as error:
        raise NotARepository(error.detail) from error
    # The last one may have lines of its own.
    bare, common = answer.stdout.removesuffix(b"\n").split(b"\n", 1)
    common_dir = root = Path(os.fsdecode(common))
    if bare != b"true":
        try:
            root = (await git.git(place, "rev-parse", "--path-format=absolute", "--show-toplevel")).path
        except git.GitFailed as error:  # Somewhere within its .git.
            raise NotARepository(error.detail) from error
    _undiverted_require(root, common_dir)
    head = await git.git(place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", accepted=(0, 1))
    branch = await git.git(place, "symbolic-ref", "--quiet", "--short", "HEAD", accepted=(0, 1))
    return RepositoryFacts(
        root=root,
        common_dir=common_dir,
        head_commit=head.line or None,
        branch=branch.line or None,
    )


async def revision_resolve(repository_root: Path, name: str, *, trusted_root: Path) -> Revision:
    """The commit and tree that a branch, tag, commit or HEAD names now; `trusted_root` is where git directories of
    ours lie. Raises UnknownRevision, RepositoryNotThere, RepositoryDiverted."""
    if not name or name.startswith("-") or "\n" in name:
        raise UnknownRevision(name)
    common_dir = bindings.common_dir_find(repository_root)
    known = _head_known(repository_root, common_dir) if name == _HEAD else None
    if known is not None:
        return known
    try:
        place = references.repository_place(repository_root, trusted_root=trusted_root)
        there = references.name_there(repository_root, name)
        answer = await git.git(place, "rev-parse", f"{there}^{{commit}}", f"{there}^{{tree}}", "--")
    except bindings.RepositoryDiverted:
        raise
    except git.GitFailed as error:
        raise UnknownRevision(name) from error
    commit, tree, *_ = answer.line.split("\n")
    if name == _HEAD:
        _head_keep(common_dir, commit, tree)
    return Revision(commit=commit, tree=tree, common_dir=common_dir)


def _head_known(repository_root: Path, common_dir: Path) -> Revision | None:
    """What is checked out, where git has told of that commit before."""
    commit = heads.head_read(bindings.git_dir_find(repository_root) or repository_root, common_dir=common_dir)
    tree = None if commit is None else _heads.get((common_dir, commit))
    if commit is None or tree is None:
        return None
    _heads.move_to_end((common_dir, commit))
    return Revision(commit=commit, tree=tree, common_dir=common_dir)


def _head_keep(common_dir: Path, commit: str, tree: str) -> None:
    _heads[common_dir, commit] = tree
    if len(_heads) > _HEADS_KEPT:
        _heads.popitem(last=False)


def _pipes_refuse(path: Path) -> None:
    """Raises GitFailed where git would wait for what stands in the place of the files it begins with."""
    for each in (path, *path.parents):
        git_dir = bindings.git_dir_find(each) or (each if os.path.isdir(each / "objects") else None)
        if git_dir is None:
            continue
        common_dir = git_dir.parent.parent if git_dir.parent.name == "worktrees" else git_dir
        shared = (common_dir / name for name in ("config", "packed-refs", configuration.COMMON_DIR))
        references.pipes_refuse((*references.head_files(git_dir, common_dir=common_dir), *shared))
        return


def _undiverted_require(root: Path, common_dir: Path) -> None:
    """Raises NotARepository where git was led elsewhere than the disk says, by a `commondir`."""
    try:
        seen = bindings.common_dir_seen(root)
    except git.GitFailed as error:
        raise NotARepository(error.detail) from error
    if seen != common_dir.resolve():
        raise NotARepository("its git directory leads git elsewhere: look at the file `commondir` in it")
