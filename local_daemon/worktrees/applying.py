"""Brings a commit onto a branch of the operator's: prepared without touching anything, then done in one step or not.

The new commit is made beside every checkout, so a conflict is found before anything changes. A branch that is checked
out is moved as git's own fast-forward does, which refuses where a file of the operator's would be lost; any other is
moved only from where it was. Nothing runs but what was configured before whatever is at work. Deliberately records
nothing. Called by operation handlers. Tests: tests/unit/daemon/worktrees/test_hostile_configuration.py,
tests/integration/daemon/test_applying.py.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.worktrees import bindings, checkouts, configuration, git, paths, references

BRANCH_NAME = re.compile(r"^(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.|\.$|/$))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")
_PATHS_MAX = 100
_GIT, _HEAD = ".git", "HEAD"
_HEAD_NAME_BYTES_MAX = 4096
_BEGUN = ("MERGE_HEAD", "CHERRY_PICK_HEAD")
"""What git keeps where a person is in the middle of something that ends in a commit."""


class Mode(StrEnum):
    """How a result gets onto a branch."""

    MERGE = "merge"  # a merge commit: the branch gains the result's own history
    CHERRY_PICK = "cherry_pick"  # one new commit with the result's changes
    EXPORT = "export"  # a new branch that begins at the result


class Refused(Exception):
    """The result was not applied, and nothing was changed; put right what is named and ask again."""

    def __init__(self, reason: str, *, paths: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.paths = paths[:_PATHS_MAX]
        self.branch: str | None = None  # that it was to reach, once that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where the branch is, and where it will be. `before` is None for a branch that does not exist yet."""

    branch: str
    before: str | None
    after: str

    @property
    def is_done(self) -> bool:
        """Whether the branch holds it already."""
        return self.before == self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What is to reach the branch, and what the commit says that brings it there."""

    base_commit: str
    head_commit: str
    message: str
    at: datetime


async def application_plan(
    root: Path,
    *,
    trusted_root: Path,
    mode: Mode,
    branch: str | None,
    base_commit: str,
    head_commit: str,
    message: str,
    at: datetime,
) -> Plan:
    """Make the commit that the branch will point at. Without `branch` the one that is checked out in `root`.
    `trusted_root` is where git directories of ours lie. Raises Refused, with the branch that was meant and the paths
    that conflict."""
    content = await _content_place(root, trusted_root)
    place = _refs_place(root, trusted_root)
    name = branch or await _branch_current(root, place)
    result = _Result(base_commit=base_commit, head_commit=head_commit, message=message, at=at)
    try:
        return await _planned(content, place, name, result, mode=mode)
    except Refused as refusal:
        refusal.branch = name
        raise


async def application_carry_out(root: Path, plan: Plan, *, trusted_root: Path) -> None:
    """Move the branch as planned. Again is safe: a branch that holds it already stays. Raises Refused."""
    place = _refs_place(root, trusted_root)
    now = await _commit_of(place, plan.branch)
    if now is not None and await _is_ancestor(place, plan.after, now):
        return
    if now != plan.before:
        raise Refused(f"branch {plan.branch} has moved meanwhile; ask again")
    await _rebase_require_none(root, plan.branch)
    try:
        directory = await _checkout_of(root, plan.branch, place)
        if directory is None:
            await _branch_move(place, plan)
        else:
            await _fast_forward(directory, plan, place, trusted_root=trusted_root)
    except configuration.ConfigurationChanged as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"branch {plan.branch} is checked out, and that can't be read: {error.strerror}") from error


async def _planned(content: git.GitPlace, place: git.GitPlace, name: str, result: _Result, *, mode: Mode) -> Plan:
    base_commit, head_commit = result.base_commit, result.head_commit
    if not BRANCH_NAME.match(name):
        raise Refused(f"not a name for a branch: {name}")
    before = await _commit_of(place, name)
    if mode is Mode.EXPORT:
        await _commits_require(content, head_commit)
        if before not in (None, head_commit):
            raise Refused(f"branch {name} exists already, and holds something else; name another one")
        return Plan(branch=name, before=before, after=head_commit)
    if before is None:
        raise Refused(f"there is no branch {name}")
    await _commits_require(content, base_commit, head_commit)
    if await _is_ancestor(content, head_commit, before):
        return Plan(branch=name, before=before, after=before)
    parents: tuple[str, ...] = (before, head_commit)
    if mode is Mode.MERGE:
        tree = await _merged(content, before, head_commit)
    else:
        tree, parents = await _picked(content, before, base=base_commit, head=head_commit, at=result.at), (before,)
        if tree == await _tree_of(content, before):
            return Plan(branch=name, before=before, after=before)
    after = await _commit(content, tree, parents=parents, message=result.message, at=result.at)
    return Plan(branch=name, before=before, after=after)


async def _content_place(root: Path, trusted_root: Path) -> git.GitPlace:
    """Where merging runs nothing but what was configured before. Raises Refused where an attempt has changed the
    configuration."""
    try:
        return await checkouts.content_place(root, trusted_root=trusted_root)
    except configuration.ConfigurationChanged as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"the repository's git directory can't be read: {error.strerror}") from error
    except git.GitFailed as error:
        raise Refused(error.detail) from error


def _refs_place(root: Path, trusted_root: Path) -> git.GitPlace:
    """Where the repository's references are read and moved. Raises Refused."""
    try:
        return references.repository_place(root, trusted_root=trusted_root)
    except git.GitFailed as error:
        raise Refused(error.detail) from error


async def _branch_move(place: git.GitPlace, plan: Plan) -> None:
    nothing = "0" * len(plan.after)
    reference = f"refs/heads/{plan.branch}"
    try:
        await git.git(place, "update-ref", "-m", "ropeway apply", reference, plan.after, plan.before or nothing)
    except git.GitFailed as error:
        raise Refused(f"branch {plan.branch} could not be moved: {error.detail}") from error


async def _checkout_move(checkout: checkouts.Checkout, plan: Plan, refs: git.GitPlace) -> None:
    """Move the branch that is checked out, by way of the checkout, whose log of HEAD git keeps then; and see that it is
    the repository's own branch that has moved, wherever git may have been led from there. Raises Refused."""
    common_dir = bindings.common_dir_find(checkout.directory)
    own = git.GitPlace(directory=checkout.directory, git_dir=checkout.git_dir.resolve(), common_dir=common_dir)
    await _branch_move(own, plan)
    now = await _commit_of(refs, plan.branch)
    if now is None or not await _is_ancestor(refs, plan.after, now):
        raise Refused(f"branch {plan.branch} could not be moved: a `commondir` in the git directory led git elsewhere")


async def _fast_forward(directory: Path, plan: Plan, refs: git.GitPlace, *, trusted_root: Path) -> None:
    """Bring a checkout's files to the new commit, then its branch; where the files are there already, only that.
    What is in the way of a file is never overwritten, unless a rule ignores it."""
    checkout = await checkouts.checkout_open(directory, trusted_root=trusted_root)
    for name in _BEGUN:
        if (checkout.git_dir / name).exists():
            raise Refused(f"branch {plan.branch} is checked out, in the middle of something; finish that first")
    dirty = await _dirty(checkout, plan.before, trusted_root=trusted_root)
    is_written = bool(dirty) and not await _dirty(checkout, plan.after, trusted_root=trusted_root)
    if dirty and not is_written:
        raise Refused(f"branch {plan.branch} is checked out, with changes that are not committed", paths=dirty)
    commits = [commit for commit in (plan.before, plan.after) if commit is not None]
    try:
        if not is_written:
            await git.git(checkout.content, "update-index", "-q", "--refresh", accepted=(0, 1))
            await git.git(checkout.content, "read-tree", "-m", "-u", *commits, seeks_pipes=False)
    except git.GitFailed as error:
        raise Refused(f"branch {plan.branch} is checked out, and git refuses to move it: {error.detail}") from error
    try:
        await _checkout_move(checkout, plan, refs)
    except Refused:
        if not is_written:
            # Somebody moved it in that moment; the files go back to where it was.
            with suppress(git.GitFailed):
                await git.git(checkout.content, "read-tree", "-m", "-u", *reversed(commits), seeks_pipes=False)
        raise


async def _dirty(checkout: checkouts.Checkout, head: str | None, *, trusted_root: Path) -> tuple[str, ...]:
    """The files that git knows and that are not as in this commit."""
    with checkouts.head_at(checkout, head, trusted_root=trusted_root) as place:
        status = await git.git(
            place,
            "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty",
        )  # fmt: skip
    return tuple(paths.path_text(line[3:]) for line in status.stdout.split(b"\0") if line)


async def _merged(place: git.GitPlace, ours: str, theirs: str) -> str:
    """The tree of both together. Raises Refused with the paths that conflict."""
    answer = await git.git(
        place,
        "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--allow-unrelated-histories", ours, theirs,
        accepted=(0, 1),
    )  # fmt: skip
    tree, *names = answer.stdout.rstrip(b"\0").split(b"\0")
    if answer.exit_code == 1:
        conflicts = tuple(dict.fromkeys(paths.path_text(name) for name in names if name))
        raise Refused("the changes conflict with what the branch holds", paths=conflicts)
    return tree.decode().strip()


async def _picked(place: git.GitPlace, before: str, *, base: str, head: str, at: datetime) -> str:
    """The tree of the branch with the changes from `base` to `head`, whatever their histories are."""
    sides = [
        await _commit(place, await _tree_of(place, commit), parents=(base,), message="side", at=at)
        for commit in (before, head)
    ]
    return await _merged(place, *sides)


async def _commit(place: git.GitPlace, tree: str, *, parents: tuple[str, ...], message: str, at: datetime) -> str:
    options = [option for parent in parents for option in ("-p", parent)]
    answer = await git.git(place, "commit-tree", *options, tree, stdin=message.encode(), env=git.dates_environment(at))
    return answer.line


async def _branch_current(root: Path, place: git.GitPlace) -> str:
    try:
        head = references.name_there(root, _HEAD)
    except git.GitFailed as error:
        raise Refused(f"what is checked out can't be read: {error.detail}") from error
    answer = await git.git(place, "symbolic-ref", "--quiet", "--short", head, accepted=(0, 1))
    if answer.exit_code != 0:
        raise Refused("no branch is checked out; name one")
    return answer.line


async def _commits_require(place: git.GitPlace, *commits: str) -> None:
    """Raises Refused where the result is gone from the repository: the operator's retention let it go."""
    for commit in commits:
        found = await git.git(place, "cat-file", "-e", f"{commit}^{{tree}}", accepted=(0, 1, 128))
        if found.exit_code != 0:
            raise Refused("the result's commits are not in the repository any more")


async def _commit_of(place: git.GitPlace, branch: str) -> str | None:
    assert place.common_dir is not None
    try:
        references.pipes_refuse([place.common_dir / f"refs/heads/{branch}"])
    except git.GitFailed as error:
        raise Refused(f"branch {branch} can't be read: {error.detail}") from error
    answer = await git.git(
        place, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}", accepted=(0, 1)
    )
    return answer.line or None


async def _tree_of(place: git.GitPlace, commit: str) -> str:
    return (await git.git(place, "rev-parse", "--verify", f"{commit}^{{tree}}")).line


async def _is_ancestor(place: git.GitPlace, commit: str, of: str) -> bool:
    answer = await git.git(place, "merge-base", "--is-ancestor", commit, of, accepted=(0, 1))
    return answer.exit_code == 0


async def _checkout_of(root: Path, branch: str, refs: git.GitPlace) -> Path | None:
    """The folder where the branch is checked out, if it is anywhere, by what lies on the disk."""
    common_dir = bindings.common_dir_find(root)
    if references.keeps_tables(common_dir):
        return await _checkout_listed(root, common_dir, branch, refs)
    wanted = f"refs/heads/{branch}"
    main = await _main_checkout(root, common_dir, branch) if _branch_said(common_dir) == wanted else None
    if main is not None:
        return main
    for git_dir in (common_dir / "worktrees").glob("*"):
        if _branch_said(git_dir) == wanted:
            return _linked_checkout(git_dir, common_dir, branch)
    return None


async def _checkout_listed(root: Path, common_dir: Path, branch: str, refs: git.GitPlace) -> Path | None:
    """The same by git's word: beside tables of references each `HEAD` says the same nothing."""
    listed = await git.git(refs, "worktree", "list", "--porcelain", "-z")
    for number, record in enumerate(listed.stdout.split(b"\0\0")):
        lines = record.split(b"\0")
        if f"branch refs/heads/{branch}".encode() not in lines or b"bare" in lines:
            continue
        if number == 0:
            if (main := await _main_checkout(root, common_dir, branch)) is not None:
                return main
            continue
        _attempts_refuse(b"locked ropeway" in lines, branch)
        directory = Path(os.fsdecode(lines[0].removeprefix(b"worktree ")))
        _same_require(directory, common_dir, branch)
        return directory
    return None


def _linked_checkout(git_dir: Path, common_dir: Path, branch: str) -> Path:
    """The folder of a further checkout that has the branch. Raises Refused."""
    _attempts_refuse(_line_read(git_dir / "locked") == "ropeway", branch)
    directory = (git_dir / _line_read(git_dir / "gitdir")).parent
    _same_require(directory, common_dir, branch)
    return directory


def _attempts_refuse(is_attempts: bool, branch: str) -> None:
    if is_attempts:
        raise Refused(f"branch {branch} is checked out in the worktree of an attempt; wait until that is over")


def _same_require(directory: Path, common_dir: Path, branch: str) -> None:
    """Raises Refused where the folder is none of the repository's checkouts, whatever somebody wrote down."""
    try:
        is_same = bindings.common_dir_find(directory) == common_dir
    except git.GitFailed as error:
        raise Refused(f"branch {branch} is checked out in a folder that is gone") from error
    if not is_same:
        raise Refused(f"branch {branch} is checked out in a folder of another repository")


async def _main_checkout(root: Path, common_dir: Path, branch: str) -> Path | None:
    """The folder of the repository's first checkout; None for a bare one."""
    if (bindings.git_dir_find(root) or root).resolve() == common_dir:
        return None if bindings.git_dir_find(root) is None else root
    trusted = await configuration.configuration_trusted(common_dir)
    # Where each checkout has settings of its own, the first one's say that there is none.
    if (await _setting(trusted, "core.bare", "--type=bool")).line == "true":
        return None
    said = await _setting(trusted, "core.worktree")
    directory = common_dir / said.path if said.stdout else common_dir.parent
    # A submodule's says where it is; one whose git directory was put elsewhere (`--separate-git-dir`) says nothing.
    if not said.stdout and common_dir.name != _GIT:
        raise Refused(
            f"branch {branch} is checked out in the repository's first checkout, and its git directory doesn't say "
            "where that is; apply from there"
        )
    _same_require(directory, common_dir, branch)
    return directory.resolve()


async def _setting(trusted: configuration.Configuration, name: str, *options: str) -> git.GitAnswer:
    """What the repository's own settings say, which anybody may be writing meanwhile."""
    common_dir = trusted.common_dir
    place = git.GitPlace(directory=common_dir, git_dir=common_dir, common_dir=common_dir)
    parts = (trusted.parts.get(part, b"") for part in (configuration.CONFIG, configuration.CONFIG_WORKTREE))
    asked = ("config", "--file", "-", *options, "--get", name)
    return await git.git(place, *asked, stdin=b"\n".join(parts), accepted=(0, 1))


def _branch_said(git_dir: Path) -> str:
    """The reference that is checked out; as git reads it, which once made `HEAD` a link. Raises OSError."""
    head = git_dir / _HEAD
    if head.is_symlink():
        return os.readlink(head)
    name, _, reference = _line_read(head).partition(":")
    return reference.strip() if name == "ref" else ""


def _line_read(file: Path) -> str:
    """What such a file of git says; nothing where it says none. Raises OSError where no file stands there."""
    try:
        return os.fsdecode(plain_files.plain_read(file, bytes_max=_HEAD_NAME_BYTES_MAX)).rstrip("\n")
    except (FileNotFoundError, NotADirectoryError):
        return ""


async def _rebase_require_none(root: Path, branch: str) -> None:
    """A rebase holds a branch without checking it out. Raises Refused."""
    common_dir = bindings.common_dir_find(root)
    for git_dir in (common_dir, *(common_dir / "worktrees").glob("*")):
        for name in ("rebase-merge", "rebase-apply"):
            try:
                held = plain_files.plain_read(git_dir / name / "head-name", bytes_max=_HEAD_NAME_BYTES_MAX)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise Refused(f"whether branch {branch} is being rebased can't be read: {error.strerror}") from error
            if os.fsdecode(held).strip() == f"refs/heads/{branch}":
                raise Refused(f"branch {branch} is being rebased; finish that first")
