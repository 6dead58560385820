"""Brings a result into a folder without git: exactly the files it changed, or none of them.

A file that isn't as it was when the work began is never overwritten; nor is one that a rule ignores. Each file is put
in place whole, by a rename, and doing it again goes on where it was interrupted. Deliberately records nothing. Called
by handlers of applications. Tests: tests/unit/daemon/worktrees/test_folder_applying.py.
"""

import asyncio
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from local_daemon.worktrees import applying, configuration, diffs, folders, git, paths

BRANCH = "."
"""What stands for a branch in the record: the folder itself."""

_EXECUTABLE_MODE = b"100755"

Signature = tuple[int, ...] | None
"""What changes when somebody writes to a file; None where there is none."""


async def folder_plan(
    folder: Path,
    *,
    git_root: Path,
    limits: folders.FolderLimits,
    base_commit: str,
    head_commit: str,
    message: str,
    at: datetime,
) -> applying.Plan:
    """The folder as it is, and as it will be. Raises Refused, with the paths that are not as they were at the base."""
    before = await _snapshot(folder, git_root=git_root, limits=limits, at=at)
    place = await _place(folder, git_root)
    moved = await diffs.raw_changes(place, base_commit, before)
    wanted = await diffs.raw_changes(place, base_commit, head_commit)
    todo, conflicts = _todo_and_conflicts(folder, moved=moved, wanted=wanted)
    if conflicts:
        raise _refused(conflicts)
    if not todo:
        return applying.Plan(branch=BRANCH, before=before, after=before)
    tree = await _tree_with(place, before, todo)
    made = await git.git(
        place, "commit-tree", "-p", before, tree, stdin=message.encode(), env=git.dates_environment(at)
    )
    return applying.Plan(branch=BRANCH, before=before, after=made.line)


async def folder_carry_out(
    folder: Path, plan: applying.Plan, *, git_root: Path, limits: folders.FolderLimits, at: datetime
) -> None:
    """Write the files as planned. Again is safe: what is there already stays. Raises Refused."""
    assert plan.before is not None
    place = await _place(folder, git_root)
    changes = await diffs.raw_changes(place, plan.before, plan.after)
    seen = {change.path: _signature(folder, change.path) for change in changes}
    now = await _snapshot(folder, git_root=git_root, limits=limits, at=at)
    moved = await diffs.raw_changes(place, plan.before, now)
    todo, conflicts = _todo_and_conflicts(folder, moved=moved, wanted=changes)
    if conflicts:
        raise _refused(conflicts, done=len(changes) - len(todo))
    try:
        with _staging(git_root) as staging:
            await _staged(place, plan.after, todo, staging)
            done = len(changes) - len(todo)
            changed = [change.path for change in todo if _signature(folder, change.path) != seen[change.path]]
            if changed:
                raise _refused(changed, done=done)
            await asyncio.to_thread(_write, folder, staging, todo, seen, done)
    except OSError as error:
        # Asked again, it goes on where this ended.
        reason = f"the folder can't be written: {error.strerror}; some of its files may hold the result already"
        raise applying.Refused(reason) from error


async def _snapshot(folder: Path, *, git_root: Path, limits: folders.FolderLimits, at: datetime) -> str:
    try:
        return await folders.snapshot_take(folder, git_root=git_root, limits=limits, taken_at=at)
    except folders.FolderRefused as error:
        raise applying.Refused(f"the folder can't be read: {error}") from error
    except configuration.ConfigurationChanged as error:
        raise applying.Refused(str(error)) from error


async def _place(folder: Path, git_root: Path) -> git.GitPlace:
    try:
        return await folders.folder_place(folder, git_root)
    except configuration.ConfigurationChanged as error:
        raise applying.Refused(str(error)) from error


def _todo_and_conflicts(
    folder: Path, *, moved: list[diffs.RawChange], wanted: list[diffs.RawChange]
) -> tuple[list[diffs.RawChange], list[bytes]]:
    """What of the `wanted` is still to be done in a folder in which that has `moved` since, and which paths are not as
    they were."""
    now = {change.path: change.after for change in moved}
    todo = [change for change in wanted if now.get(change.path, change.before) != change.after]
    conflicts = [change.path for change in todo if change.path in now]
    conflicts += _in_the_way(folder, [change for change in todo if change.path not in now])
    return todo, conflicts


def _in_the_way(folder: Path, changes: list[diffs.RawChange]) -> Iterator[bytes]:
    """New files whose place is taken by something that no snapshot holds: an ignored file, a folder, a link on the
    way."""
    removed = {change.path for change in changes if change.after == diffs.ABSENT}
    for change in changes:
        if change.before != diffs.ABSENT:
            continue
        parents = [b"/".join(parts) for parts in _prefixes(change.path.split(b"/"))]
        is_link_on_the_way = any(_is_other_than_folder(folder, each) and each not in removed for each in parents)
        if is_link_on_the_way or _is_taken(folder, change.path, removed):
            yield change.path


def _prefixes(parts: list[bytes]) -> Iterator[list[bytes]]:
    return (parts[:length] for length in range(1, len(parts)))


def _is_other_than_folder(folder: Path, path: bytes) -> bool:
    place = folder / os.fsdecode(path)
    return os.path.lexists(place) and (place.is_symlink() or not place.is_dir())


def _is_taken(folder: Path, path: bytes, removed: set[bytes]) -> bool:
    place = folder / os.fsdecode(path)
    if not os.path.lexists(place) or any(parent in removed for parent in map(b"/".join, _prefixes(path.split(b"/")))):
        return False
    if place.is_symlink() or not place.is_dir():
        return True
    # A folder gives way only if everything in it goes.
    top = os.fsencode(folder)
    return any(
        os.path.relpath(os.path.join(found, name), top) not in removed
        for found, _, names in os.walk(os.fsencode(place))
        for name in names
    )


async def _tree_with(place: git.GitPlace, commit: str, changes: list[diffs.RawChange]) -> str:
    """The tree of a commit with these changes."""
    assert place.index is not None
    index = place.index.with_name(f"planned-{secrets.token_hex(8)}")
    planned = replace(place, index=index)
    gone = [b"0 %b\t%b\0" % (b"0" * 40, change.path) for change in changes if change.after == diffs.ABSENT]
    there = [b"%b %b\t%b\0" % (*change.after, change.path) for change in changes if change.after != diffs.ABSENT]
    try:
        await git.git(planned, "read-tree", commit)
        await git.git(planned, "update-index", "-z", "--index-info", stdin=b"".join([*gone, *there]))
        return (await git.git(planned, "write-tree")).line
    except git.GitFailed as error:
        raise applying.Refused(f"the changes don't fit into the folder: {error.detail}") from error
    finally:
        index.unlink(missing_ok=True)


@contextmanager
def _staging(git_root: Path) -> Iterator[Path]:
    staging = git_root / f"ropeway-staging-{secrets.token_hex(8)}"
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


async def _staged(place: git.GitPlace, commit: str, changes: list[diffs.RawChange], staging: Path) -> None:
    """Write the new files' content below `staging`."""
    names = [change.path for change in changes if change.after != diffs.ABSENT]
    outside = replace(place, directory=staging, index=staging.with_name(f"{staging.name}.index"))
    assert outside.index is not None
    try:
        await git.git(outside, "read-tree", commit)
        await git.git(outside, "checkout-index", "-z", "--stdin", stdin=b"".join(name + b"\0" for name in names))
    finally:
        outside.index.unlink(missing_ok=True)


def _signature(folder: Path, path: bytes) -> Signature:
    try:
        found = (folder / os.fsdecode(path)).lstat()
    except OSError:
        return None
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ino


def _write(
    folder: Path, staging: Path, changes: list[diffs.RawChange], seen: Mapping[bytes, Signature], done: int
) -> None:
    """Raises Refused at the first file that isn't as it was `seen`; `done` files hold the result already."""
    # What goes, goes first: a file may take the place of a folder, or a name differ in nothing but its case.
    for number, change in enumerate(sorted(changes, key=lambda change: change.after != diffs.ABSENT)):
        with _ready(folder, staging, change) as carry_out:
            # Last of all, since a person may write while thousands of files before this one are.
            now = _signature(folder, change.path)
            if now != seen[change.path] and not (now is None and change.before == diffs.ABSENT):
                raise _refused([change.path], done=done + number)
            carry_out()


@contextmanager
def _ready(folder: Path, staging: Path, change: diffs.RawChange) -> Iterator[Callable[[], None]]:
    """Make all ready, and hand over what does it."""
    if change.after == diffs.ABSENT:
        yield partial(_remove, folder, change.path)
        return
    with _put(folder, staging / os.fsdecode(change.path), change) as put:
        yield put


def _remove(folder: Path, path: bytes) -> None:
    with suppress(FileNotFoundError):
        (folder / os.fsdecode(path)).unlink()
    for parent in (folder / os.fsdecode(path)).parents:
        if parent == folder:
            return
        try:
            parent.rmdir()  # As git does: a folder goes with its last file.
        except OSError:
            return


@contextmanager
def _put(folder: Path, staged: Path, change: diffs.RawChange) -> Iterator[Callable[[], None]]:
    """Write one file beside its place, and hand over what puts it there, whole. Its folder is reached without
    following a link."""
    *parents, name = change.path.split(b"/")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent in parents:
            with suppress(FileExistsError):
                os.mkdir(parent, dir_fd=descriptor)
            deeper = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        fresh = b".ropeway-" + secrets.token_hex(8).encode()
        try:
            _copy(staged, fresh, change.after[0], descriptor, mode=_mode(change.after[0], name, descriptor))
            yield partial(os.replace, fresh, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=descriptor)
            raise
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(staged: Path, fresh: bytes, git_mode: bytes, descriptor: int, *, mode: int) -> None:
    if git_mode == diffs.LINK_MODE:
        os.symlink(os.readlink(staged), fresh, dir_fd=descriptor)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(staged, "rb") as content, os.fdopen(os.open(fresh, flags, 0o600, dir_fd=descriptor), "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _mode(git_mode: bytes, name: bytes, descriptor: int) -> int:
    """The permissions: those of the file it replaces, but for who may execute it, which is the result's to say."""
    try:
        found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        kept = stat.S_IMODE(found.st_mode) & 0o666 if stat.S_ISREG(found.st_mode) else 0o644
    except FileNotFoundError:
        kept = 0o644
    return kept | ((kept & 0o444) >> 2 if git_mode == _EXECUTABLE_MODE else 0)


def _refused(conflicts: list[bytes], *, done: int = 0) -> applying.Refused:
    reason = "files of the folder are not as they were when the work began"
    if done:
        reason += f"; {done} others hold the result already"
    return applying.Refused(reason, paths=tuple(sorted({paths.path_text(path) for path in conflicts})))
