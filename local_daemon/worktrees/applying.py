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

from local_daemon.worktrees import checkouts, configuration, git, inspection, paths, plain_files

BRANCH_NAME = re.compile(r"^(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.|\.$|/$))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")
_PATHS_MAX = 100
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
    `trusted_root` is where git directories of ours lie. Raises Refused, with the paths that conflict."""
    place = git.GitPlace(directory=root)
    content = await _content_place(root, trusted_root)
    name = branch or await _branch_current(place)
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
        tree, parents = await _picked(content, before, base=base_commit, head=head_commit, at=at), (before,)
        if tree == await _tree_of(content, before):
            return Plan(branch=name, before=before, after=before)
    after = await _commit(content, tree, parents=parents, message=message, at=at)
    return Plan(branch=name, before=before, after=after)


async def application_carry_out(root: Path, plan: Plan, *, trusted_root: Path) -> None:
    """Move the branch as planned. Again is safe: a branch that holds it already stays. Raises Refused."""
    place = git.GitPlace(directory=root)
    now = await _commit_of(place, plan.branch)
    if now is not None and await _is_ancestor(place, plan.after, now):
        return
    if now != plan.before:
        raise Refused(f"branch {plan.branch} has moved meanwhile; ask again")
    await _rebase_require_none(root, plan.branch)
    directory = await _checkout_of(place, plan.branch)
    try:
        if directory is None:
            await _branch_move(place, plan)
        else:
            await _fast_forward(directory, plan, trusted_root=trusted_root)
    except configuration.ConfigurationChanged as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"branch {plan.branch} is checked out, and that can't be read: {error.strerror}") from error


async def _content_place(root: Path, trusted_root: Path) -> git.GitPlace:
    """Where merging runs nothing but what was configured before. Raises Refused where an attempt has changed the
    configuration."""
    try:
        return await checkouts.content_place(root, trusted_root=trusted_root)
    except configuration.ConfigurationChanged as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"the repository's git directory can't be read: {error.strerror}") from error


async def _branch_move(place: git.GitPlace, plan: Plan) -> None:
    nothing = "0" * len(plan.after)
    reference = f"refs/heads/{plan.branch}"
    try:
        await git.git(place, "update-ref", "-m", "ropeway apply", reference, plan.after, plan.before or nothing)
    except git.GitFailed as error:
        raise Refused(f"branch {plan.branch} could not be moved: {error.detail}") from error


async def _fast_forward(directory: Path, plan: Plan, *, trusted_root: Path) -> None:
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
            await git.git(checkout.content, "read-tree", "-m", "-u", *commits)
    except git.GitFailed as error:
        raise Refused(f"branch {plan.branch} is checked out, and git refuses to move it: {error.detail}") from error
    try:
        await _branch_move(git.GitPlace(directory=directory), plan)
    except Refused:
        if not is_written:
            # Somebody moved it in that moment; the files go back to where it was.
            with suppress(git.GitFailed):
                await git.git(checkout.content, "read-tree", "-m", "-u", *reversed(commits))
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


async def _branch_current(place: git.GitPlace) -> str:
    answer = await git.git(place, "symbolic-ref", "--quiet", "--short", "HEAD", accepted=(0, 1))
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
    answer = await git.git(
        place, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}", accepted=(0, 1)
    )
    return answer.line or None


async def _tree_of(place: git.GitPlace, commit: str) -> str:
    return (await git.git(place, "rev-parse", "--verify", f"{commit}^{{tree}}")).line


async def _is_ancestor(place: git.GitPlace, commit: str, of: str) -> bool:
    answer = await git.git(place, "merge-base", "--is-ancestor", commit, of, accepted=(0, 1))
    return answer.exit_code == 0


async def _checkout_of(place: git.GitPlace, branch: str) -> Path | None:
    """The folder where the branch is checked out, if it is anywhere."""
    listed = await git.git(place, "worktree", "list", "--porcelain", "-z")
    wanted = f"branch refs/heads/{branch}".encode()
    for record in listed.stdout.split(b"\0\0"):
        lines = record.split(b"\0")
        if wanted in lines and b"locked ropeway" in lines:
            raise Refused(f"branch {branch} is checked out in the worktree of an attempt; wait until that is over")
        if wanted in lines and b"bare" not in lines:
            first = next(line for line in lines if line.startswith(b"worktree "))
            return Path(os.fsdecode(first.removeprefix(b"worktree ")))
    return None


async def _rebase_require_none(root: Path, branch: str) -> None:
    """A rebase holds a branch without checking it out. Raises Refused."""
    common_dir = inspection.common_dir_find(root)
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
