"""Folders without git: each has a repository of ours, in the daemon's home, so that one way of working serves both.

A snapshot holds the folder's files as they are, byte for byte, but for what its `.gitignore` and the person's own rules
ignore, and environment files (`.env`). Each stands alone: a later one doesn't keep it. An attempt may write to that
repository, so what it configures is never worked with (ADR 0007). Nothing is ever put into the folder but what
`folder_applying` is asked for. Called by handlers and the scheduler.
Tests: tests/unit/daemon/worktrees/test_folders.py.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

from local_daemon.protocol import failpoints
from local_daemon.worktrees import bindings, configuration, deletion, git, paths, pruning, references, snapshots

_INDEX = "folder-index"
_OWN_SUFFIX = ".own"
_REF = "refs/heads/snapshots"
_NAMED_MAX = 5
_UNFINISHED = "*.git.*"
_LEFT = (f"{_INDEX}.*", "planned-*", "ropeway-staging-*", f"{_REF}.lock", "packed-refs.lock", "objects/??/tmp_obj_*")
_LOOSE_OBJECTS = 6700
"""From how many on git packs them, by its own default."""

# Whatever a `.gitattributes` in the folder says: no filter runs, and no line ending is changed.
_ATTRIBUTES = "* -text -filter -ident -working-tree-encoding\n"
_FILES = {"GIT_DEFAULT_REF_FORMAT": "files"}
"""References, of which there is one, are files, whatever format the person prefers: the lock of it is let go here."""

_EXCLUDE = ".env\n.env.*\n*.env\n!.env.example\n!.env.sample\n!.env.template\n"

# Snapshots of one folder share an index; those of others run freely.
_locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()


class FolderRefused(Exception):
    """The folder can't be worked in as it is; put right what is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderLimits:
    """How much a folder may hold besides what is ignored."""

    files_max: int = 50_000
    bytes_max: int = 1024**3


async def folder_take_on(folder: Path, *, git_root: Path, home: Path, limits: FolderLimits) -> None:
    """Make the folder's own repository, if it can be worked in. Raises FolderRefused, ConfigurationChanged."""
    if home.resolve().is_relative_to(folder) or folder.is_relative_to(home.resolve()):
        raise FolderRefused("it holds, or lies in, the daemon's own home")
    if folder in (Path(folder.anchor), Path.home().resolve()):
        raise FolderRefused("it is a whole home or disk; take a folder in it")
    await _shadow_ensure(git_root)
    await _limits_require(await folder_place(folder, git_root), limits)


async def snapshot_take(folder: Path, *, git_root: Path, limits: FolderLimits, taken_at: datetime) -> str:
    """The commit that holds the folder's files as they are now; the last one, if they are the same.
    Raises FolderRefused, ConfigurationChanged."""
    async with _locks.setdefault(git_root, asyncio.Lock()):
        if not folder.is_dir():
            raise FolderRefused("it is gone")
        await _shadow_ensure(git_root)
        place = await folder_place(folder, git_root)
        await _limits_require(place, limits)
        with _index_copy(place) as own:
            await _files_add(own)
            tree = (await git.git(own, "write-tree")).line
            failpoints.failpoint("daemon.folder_snapshot.before_commit")
            commit = await _commit(place, tree, git_root=git_root, taken_at=taken_at)
            failpoints.failpoint("daemon.folder_snapshot.after_commit")
        return commit


def leftovers_remove(folders_root: Path, *, busy: Collection[Path] = ()) -> None:
    """Take away what a daemon that was killed left beside and in the folders' repositories: nothing of it counts. Those
    that are `busy`, since what an attempt started may still write there, are left for another time.
    Blocking: call it in a thread."""
    idle = [git_root for git_root in folders_root.glob("*.git") if git_root not in busy]
    left_inside = (each for git_root in idle for pattern in _LEFT for each in git_root.glob(pattern))
    for left in (*folders_root.glob(_UNFINISHED), *left_inside):
        with suppress(OSError):
            deletion.tree_delete(left)


async def shadow_tidy(git_root: Path, *, trusted_root: Path) -> None:
    """Let git pack what many snapshots left, and drop what no attempt kept and is two weeks old. Does nothing where
    there is little of it, and while an attempt is at work. Raises GitFailed."""
    options = ("-c", f"gc.auto={_LOOSE_OBJECTS}", "-c", "gc.autoDetach=false")
    place = references.repository_place(git_root, trusted_root=trusted_root)

    async def tidy() -> None:
        (git_root / "packed-refs.lock").unlink(missing_ok=True)  # The last one gave way to an attempt.
        await git.git(place, *options, "gc", "--auto", "--quiet")

    await pruning.alone(bindings.common_dir_find(git_root), tidy)


async def folder_place(folder: Path, git_root: Path) -> git.GitPlace:
    """Where git works on the files of the folder itself: with the configuration from before whatever is at work, and
    no references. Raises ConfigurationChanged."""
    trusted = await configuration.configuration_trusted(bindings.common_dir_find(git_root))
    own = git_root.with_suffix(_OWN_SUFFIX)
    own.mkdir(mode=0o700, exist_ok=True)
    trusted_dir = configuration.trusted_dir_ensure(trusted, own, git_dir=git_root)
    index = git_root / _INDEX
    if not index.is_file():
        # An attempt may have put a pipe there, for which git would wait, or a folder with a great many files.
        await asyncio.to_thread(deletion.tree_delete, index)
    return git.GitPlace(directory=folder, git_dir=trusted_dir, objects=trusted.common_dir / "objects", index=index)


async def _shadow_ensure(git_root: Path) -> None:
    if git_root.is_dir():
        return
    git_root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = git_root.with_name(f"{git_root.name}.{secrets.token_hex(8)}")
    await git.git(
        git.GitPlace(directory=git_root.parent),
        "init", "--quiet", "--bare", "--template=", "--object-format=sha1", f"--initial-branch={Path(_REF).name}",
        str(fresh),
        env=_FILES,
    )  # fmt: skip
    fresh.chmod(0o700)
    (fresh / "info").mkdir(exist_ok=True)
    (fresh / "info/attributes").write_text(_ATTRIBUTES)
    (fresh / "info/exclude").write_text(_EXCLUDE)
    try:
        fresh.rename(git_root)  # Whole, or not there.
    except OSError:
        shutil.rmtree(fresh)
        if not git_root.is_dir():
            raise


async def _limits_require(place: git.GitPlace, limits: FolderLimits) -> None:
    """Refuse before anything is read what would be too much. Raises FolderRefused."""
    try:
        listed = await git.git(place, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except git.GitOutputTooLarge as error:
        raise FolderRefused(_too_many(limits)) from error
    except git.GitFailed as error:
        raise FolderRefused(f"its files can't be listed: {error.detail}") from error
    names = [name for name in listed.stdout.split(b"\0") if name]
    nested = [name for name in names if name.endswith(b"/")]
    if nested:
        raise FolderRefused(_nested(nested))
    if len(names) > limits.files_max:
        raise FolderRefused(_too_many(limits, len(names)))
    size_bytes = await asyncio.to_thread(_size_bytes, os.fsencode(place.directory), names)
    if size_bytes > limits.bytes_max:
        raise FolderRefused(
            f"its files are {size_bytes} bytes, more than [folders] bytes_max = {limits.bytes_max} in daemon.toml; "
            "name in its .gitignore what doesn't matter"
        )


def _size_bytes(root: bytes, names: list[bytes]) -> int:
    total = 0
    for name in names:
        try:
            total += os.lstat(os.path.join(root, name)).st_size
        except OSError:
            continue  # Gone since it was listed.
    return total


def _too_many(limits: FolderLimits, count: int | None = None) -> str:
    how_many = "more files than can be listed" if count is None else f"{count} files"
    return (
        f"it holds {how_many}, more than [folders] files_max = {limits.files_max} in daemon.toml; "
        "name in its .gitignore what doesn't matter"
    )


def _nested(names: list[bytes]) -> str:
    told = ", ".join(paths.path_text(name) for name in names[:_NAMED_MAX])
    return f"it holds git repositories, which are added by themselves, or ignored: {told}"


@contextmanager
def _index_copy(place: git.GitPlace) -> Iterator[git.GitPlace]:
    """A copy of the index, which takes its place once what it holds is committed: an index never names what no commit
    holds, and git might let go. Whatever becomes of git on the way, nobody finds half an index or a lock, and a git
    that outlives its daemon writes to nothing of the next one's."""
    assert place.index is not None
    working = place.index.with_name(f"{_INDEX}.{secrets.token_hex(8)}")
    try:
        with suppress(FileNotFoundError):
            shutil.copy2(place.index, working)  # With its time, by which git judges whether a file may have changed.
        yield replace(place, index=working)
        with suppress(FileNotFoundError):
            working.replace(place.index)
    finally:
        for left in (working, working.with_name(f"{working.name}.lock")):
            left.unlink(missing_ok=True)


async def _files_add(place: git.GitPlace) -> None:
    assert place.index is not None
    try:
        await git.git(place, "add", "--all")
    except git.GitFailed as error:
        raise FolderRefused(f"its files can't be read: {error.detail}") from error
    if snapshots.index_may_hold_submodules(place.index):
        await _nested_refuse(place)


async def _nested_refuse(place: git.GitPlace) -> None:
    """Where files that were once plain have become a repository of their own, git would keep only a pointer."""
    assert place.index is not None
    listed = await git.git(place, "ls-files", "-z", "--stage")
    entries = (entry.partition(b"\t") for entry in listed.stdout.split(b"\0") if entry)
    nested = [name + b"/" for head, _, name in entries if head.startswith(b"160000")]
    if nested:
        place.index.with_name(_INDEX).unlink(missing_ok=True)
        raise FolderRefused(_nested(nested))


async def _commit(place: git.GitPlace, tree: str, *, git_root: Path, taken_at: datetime) -> str:
    trusted_root = git_root.parent.with_name(configuration.TRUSTED_FOLDER)
    refs = references.refs_place(bindings.common_dir_find(git_root), trusted_root=trusted_root)
    found = await git.git(refs, "rev-parse", "--verify", "--quiet", f"{_REF}^{{commit}}", accepted=(0, 1))
    last = found.line
    if last and (await git.git(place, "rev-parse", f"{last}^{{tree}}")).line == tree:
        return last
    made = await git.git(place, "commit-tree", tree, stdin=b"Snapshot\n", env=git.dates_environment(taken_at))
    (git_root / f"{_REF}.lock").unlink(missing_ok=True)  # Who holds our lock is the only one to move it.
    # No log of it: that would keep the earlier snapshots.
    await git.git(refs, "-c", "core.logAllRefUpdates=false", "update-ref", _REF, made.line)
    return made.line
