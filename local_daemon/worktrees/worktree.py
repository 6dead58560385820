"""Worktrees: one directory an attempt works in, made from a commit and taken away when everything in it is recorded.

A worktree is registered in the documented layout (gitrepository-layout(5), `worktrees/`) by one rename, so it is never
seen half-made and attempts of one repository don't queue for each other: `git worktree add` and `remove` need a lock
around them and cost three processes more. They are used where a repository asks for more than that layout. A worktree
is locked, so that a person's `git worktree prune` leaves it alone. Deliberately records nothing (`changes.py` does).
Called by the scheduler and recovery. Tests: tests/unit/daemon/worktrees/test_worktree.py.
"""

import asyncio
import errno
import hashlib
import itertools
import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import monotonic
from weakref import WeakValueDictionary

from local_daemon.config import plain_files
from local_daemon.worktrees import bindings, configuration, deletion, git, inspection, pool, pruning, references

OWN_SUFFIX = ".git"

_GIT = ".git"
_INDEX = "index"
INDEX_BYTES_MAX = 512 * 1024 * 1024
"""So much of an index is looked through: more than the largest that git still works with."""
_NOTE_BYTES_MAX = 64 * 1024 * 1024
_POINTER_BYTES_MAX = 64 * 1024
_LOCK_REASON = "ropeway"

# Two `git worktree add` in one repository trip over each other; with other repositories they run freely. By what the
# worktrees share, since each of them may be known as a repository of its own.
_repository_locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()


class WorktreePlaceTaken(FileExistsError):
    """Something is at the worktree's place already; it is never overwritten."""


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
    trusted: configuration.Configuration
    """The repository's git configuration from before the attempt."""
    trusted_dir: Path
    refs: git.GitPlace
    """Where git finds the repository's references, whatever an attempt wrote; not this worktree's HEAD."""

    @property
    def index(self) -> Path:
        """Our own index, not the one in `git_dir`: the files as checked out, later as last recorded. An executor's
        `git add`, or a lock it left, doesn't reach it."""
        return own_dir(self.path) / _INDEX

    @property
    def place(self) -> git.GitPlace:
        """Where git works on this worktree's content: with our index and the trusted configuration, whatever stands in
        its `.git` and in the repository's by now. There are no references here."""
        return _content_place(self.trusted, self.trusted_dir, path=self.path)

    @property
    def head_place(self) -> git.GitPlace:
        """Where git finds this worktree's HEAD, which is whatever its executor made it. Nothing is written here, and no
        command that runs filters is run."""
        return git.GitPlace(
            directory=self.path, git_dir=self.git_dir, common_dir=self.trusted.common_dir, index=self.index
        )

    async def configuration_changed(self) -> tuple[str, ...]:
        """What was changed of the repository's git configuration since, by name; `.git` where it is another repository
        by now, which knows nothing of this worktree. Raises RepositoryNotThere."""
        try:
            common_dir = bindings.common_dir_find(self.repository_root)
            if common_dir != self.trusted.common_dir or not self.git_dir.is_dir():
                return (_GIT,)
        except bindings.RepositoryDiverted:
            return (_GIT,)
        now = await configuration.configuration_read(self.trusted.common_dir)
        return await configuration.names_changed(self.trusted, now)


async def worktree_create(
    repository_root: Path,
    *,
    path: Path,
    base: str,
    trusted: configuration.Configuration | None = None,
    spares: pool.Pool | None = None,
) -> Worktree:
    """Check out `base` (branch, tag, commit or HEAD) in a new directory, on no branch; for an attempt that goes on,
    `trusted` is the configuration it began with. A spare checkout is used where there is one.
    Raises UnknownRevision, WorktreePlaceTaken, ConfigurationChanged, GitFailed; then nothing is left of it."""
    # Before anything is awaited: an attempt that is just being concluded lets go of what it began with.
    trusted = trusted or _in_use(repository_root)
    revision = await inspection.revision_resolve(repository_root, base, trusted_root=trusted_root_of(path))
    trusted = await configuration.configuration_trusted(revision.common_dir, began_with=trusted)
    await pruning.give_way(revision.common_dir)
    if os.path.lexists(path):
        raise WorktreePlaceTaken(f"{path.name} exists already")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        git_dir, content_dir = await _make(repository_root, path, revision, trusted, spares)
        refs = _refs_place(trusted, path=path)
    except BaseException:
        await worktree_discard(repository_root, path=path)
        raise
    return Worktree(
        repository_root=repository_root,
        path=path,
        git_dir=git_dir,
        base_commit=revision.commit,
        base_tree=revision.tree,
        trusted=trusted,
        trusted_dir=content_dir,
        refs=refs,
    )


async def _make(
    repository_root: Path,
    path: Path,
    revision: inspection.Revision,
    trusted: configuration.Configuration,
    spares: pool.Pool | None,
) -> tuple[Path, Path]:
    """Register it and put its files there; where git keeps its state, and where its content is worked on."""
    own = own_dir(path)
    _own_dir_make(own)
    is_plain = _is_plain(revision.common_dir)
    git_dir = _register(revision, path) if is_plain else await _add_by_git(repository_root, path, revision)
    content_dir = configuration.trusted_dir_ensure(trusted, own, git_dir=git_dir)
    source = pool.Source(common_dir=revision.common_dir, trusted_dir=content_dir, commit=revision.commit)
    await _fill(source, path, git_dir, spares if is_plain else None)
    return git_dir, content_dir


async def _fill(source: pool.Source, path: Path, git_dir: Path, spares: pool.Pool | None) -> None:
    """Put the files and both indexes there, from a spare checkout or by making them."""
    started = monotonic()
    index = own_dir(path) / _INDEX
    spare = None if spares is None else await spares.take(source)
    if spare is None:
        path.mkdir(exist_ok=True)
        await git.git(source.place(directory=path, index=index), "read-tree", "-m", "-u", source.commit)
    else:
        spare.tree.rename(path)
        spare.index.rename(index)
        spare.folder.rmdir()
    (path / ".git").write_bytes(b"gitdir: " + os.fsencode(git_dir) + b"\n")
    # With its time, by which git judges whether a file may have changed since.
    shutil.copy2(index, git_dir / _INDEX)
    if spares is not None:
        spares.want(source, took_s=monotonic() - started if spare is None else None)


def own_dir(path: Path) -> Path:
    """Where our index of the worktree at `path` lies, and what names the configuration it began with: beside it, out
    of an executor's way."""
    return path.with_name(f"{path.name}{OWN_SUFFIX}")


def own_text(path: Path, name: str) -> str | None:
    """What we noted under this name beside the worktree at `path`; None where nothing stands, or something that can't
    be a note, which somebody put there. Raises OSError where there is one that can't be read."""
    place = own_dir(path) / name
    try:
        return plain_files.plain_read(place, bytes_max=_NOTE_BYTES_MAX).decode("utf-8", errors="replace")
    except OSError:
        if place.is_file():
            raise
        return None


def own_note(path: Path, name: str) -> object:
    """The same, as the JSON that it is; None also where it is none. Raises OSError as above."""
    try:
        return json.loads(own_text(path, name) or "null")
    except (ValueError, RecursionError):
        return None


def own_names(path: Path, name: str) -> tuple[str, ...]:
    """The paths that are noted there, all of them below a folder; none where it is no such note. Raises OSError as
    above."""
    noted = own_note(path, name)
    return tuple(noted) if isinstance(noted, list) and all(map(_is_below, noted)) else ()


def own_place(path: Path, name: str) -> Path:
    """Where a note of this name is to be put, by way of `<name>.new`: no folder is in its way. Blocking."""
    place = own_dir(path) / name
    deletion.tree_delete(place.with_name(f"{name}.new"))
    if place.is_dir():
        deletion.tree_delete(place)
    return place


def own_write(path: Path, name: str, content: bytes) -> Path:
    """Note it there, all of it or nothing, whatever stands in its place; where the note lies. Blocking."""
    place = own_place(path, name)
    fresh = place.with_name(f"{name}.new")
    with open(fresh, "xb") as file:  # Neither waits for a pipe nor follows a link.
        file.write(content)
    fresh.replace(place)
    return place


def trusted_root_of(path: Path) -> Path:
    """Where git directories of ours lie, for a worktree at `path`."""
    return path.parent.with_name(configuration.TRUSTED_FOLDER)


def patch_apply_environment(path: Path) -> dict[str, str]:
    """The variables with which the executor `patch` runs git in the worktree at `path`: filters and settings are those
    from before the attempt."""
    trusted = configuration.trusted_link(own_dir(path))
    return {**git.FIXED_ENVIRONMENT, **git.GitPlace(directory=path, git_dir=trusted).environment()}


def _is_below(name: object) -> bool:
    if not isinstance(name, str) or "\0" in name:
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    parts = PurePosixPath(name).parts
    return bool(parts) and not PurePosixPath(name).is_absolute() and ".." not in parts


def _in_use(repository_root: Path) -> configuration.Configuration | None:
    with suppress(git.GitFailed):
        return configuration.configuration_in_use(bindings.common_dir_find(repository_root))
    return None


def _own_dir_make(own: Path) -> None:
    if own.is_symlink() or not own.is_dir():
        deletion.tree_delete(own)
        own.mkdir(mode=0o700)
    # What a worktree that is made again left there describes other files, but for what it began with.
    for left in own.iterdir():
        if not (left.is_symlink() and left == configuration.trusted_link(own)):
            deletion.tree_delete(left)


def _content_place(trusted: configuration.Configuration, trusted_dir: Path, *, path: Path) -> git.GitPlace:
    return git.GitPlace(
        directory=path, git_dir=trusted_dir, objects=trusted.common_dir / "objects", index=own_dir(path) / _INDEX
    )


def _refs_place(trusted: configuration.Configuration, *, path: Path) -> git.GitPlace:
    return references.refs_place(trusted.common_dir, trusted_root=trusted_root_of(path))


def _is_plain(common_dir: Path) -> bool:
    # Sparse checkouts and per-worktree settings are copied by git itself; reftables need a table for each worktree.
    return not (common_dir / "config.worktree").exists() and not (common_dir / "reftable").exists()


def _register(revision: inspection.Revision, path: Path) -> Path:
    """Make the worktree known to the repository, before its directory is made: what exists can be found."""
    prepared = _prepared_dir(revision.common_dir, path)
    prepared.mkdir()
    (prepared / "HEAD").write_text(f"{revision.commit}\n")
    (prepared / "commondir").write_text("../..\n")
    (prepared / "gitdir").write_bytes(os.fsencode(path.parent.resolve() / path.name / ".git") + b"\n")
    (prepared / "locked").write_text(f"{_LOCK_REASON}\n")
    registered = revision.common_dir / "worktrees"
    name = re.sub(r"[^A-Za-z0-9_-]", "-", path.name)
    return _place_take(prepared, registered, name)


def _place_take(prepared: Path, registered: Path, name: str) -> Path:
    """Move a prepared entry to the first free name among the repository's worktrees, by one rename."""
    for suffix in itertools.count():
        git_dir = registered / (f"{name}-{suffix}" if suffix else name)
        try:
            registered.mkdir(exist_ok=True)
            prepared.rename(git_dir)
        except FileNotFoundError:
            continue  # Git takes `worktrees` away with its last entry; make it again.
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return git_dir
    raise AssertionError("there is always another suffix")


def _prepared_dir(common_dir: Path, path: Path) -> Path:
    # Named after the place, so that discarding the worktree finds what a crash before the rename left.
    return common_dir / f"ropeway-prepared-{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]}"


async def _add_by_git(repository_root: Path, path: Path, revision: inspection.Revision) -> Path:
    async with _repository_lock(revision.common_dir):
        git_dir = (bindings.git_dir_find(repository_root) or repository_root).resolve()
        # Without files: writing them runs filters, and the configuration may have changed since it was looked at.
        await git.git(
            git.GitPlace(directory=repository_root, git_dir=git_dir, common_dir=revision.common_dir),
            "worktree", "add", "--quiet", "--no-checkout", "--detach", "--lock", "--reason", _LOCK_REASON, "--",
            str(path), revision.commit,
        )  # fmt: skip
    # Read now, while nobody but git has written here; an executor may rewrite this file later.
    pointer = plain_files.plain_read(path / _GIT, bytes_max=_POINTER_BYTES_MAX)
    return Path(os.fsdecode(pointer).removeprefix("gitdir: ").rstrip("\n"))


async def worktree_adopt(repository_root: Path, *, path: Path, base_commit: str) -> Worktree:
    """The worktree that an earlier daemon made at `path`, as recorded. Raises WorktreeMissing."""
    common_dir = bindings.common_dir_find(repository_root)
    git_dir = _git_dir_find(common_dir, path)
    if git_dir is None or not path.is_dir():
        raise WorktreeMissing(f"no worktree {path.name}")
    try:
        trusted, content_dir = configuration.configuration_kept(own_dir(path))
    except FileNotFoundError as error:
        raise WorktreeMissing(f"worktree {path.name} was never finished") from error
    if trusted.common_dir != common_dir:
        trusted = configuration.configuration_moved(trusted, common_dir)
        content_dir = configuration.trusted_dir_ensure(trusted, own_dir(path), git_dir=git_dir)
    revision = await inspection.revision_resolve(repository_root, base_commit, trusted_root=trusted_root_of(path))
    return Worktree(
        repository_root=repository_root,
        path=path,
        git_dir=git_dir,
        base_commit=revision.commit,
        base_tree=revision.tree,
        trusted=trusted,
        trusted_dir=content_dir,
        refs=_refs_place(trusted, path=path),
    )


def names_registered(repository_root: Path, *, worktrees: Path) -> set[str]:
    """The names of the worktrees in a directory of ours that the repository knows of, be they there or not. Blocking.
    Raises GitFailed."""
    below = os.fsencode(worktrees.resolve() / "x")[:-1]
    said = filter(None, map(_pointer_read, (bindings.common_dir_find(repository_root) / "worktrees").glob("*/gitdir")))
    return {os.fsdecode(each.removeprefix(below).split(b"/")[0]) for each in said if each.startswith(below)}


async def worktree_discard(repository_root: Path, *, path: Path, is_renewed: bool = False) -> None:
    """Take a worktree away with everything in it, also a half-made one; nothing happens where there is none.
    Only for what `changes.worktree_remove` found recorded, or where no executor ever started. Where it `is_renewed`, it
    will be made again, and what names the configuration it began with stays."""
    if repository_root.resolve().is_relative_to(path.resolve()):
        raise ValueError("not a worktree but the repository itself")
    common_dir = bindings.common_dir_find(repository_root)
    git_dir = _git_dir_find(common_dir, path)
    # The files first: while any are left, the repository still knows of them.
    leftovers = (path, _prepared_dir(common_dir, path), *([git_dir] if git_dir else []))
    await asyncio.to_thread(deletion.trees_delete, leftovers if is_renewed else (*leftovers, own_dir(path)))


def _git_dir_find(common_dir: Path, path: Path) -> Path | None:
    # Found from the repository's side: the worktree's own `.git` may say anything.
    wanted = os.fsencode(path.parent.resolve() / path.name / ".git")
    usual = common_dir / "worktrees" / path.name / "gitdir"
    for pointer in itertools.chain([usual], (common_dir / "worktrees").glob("*/gitdir")):
        if _pointer_read(pointer) == wanted:
            return pointer.parent
    return None


def _pointer_read(pointer: Path) -> bytes | None:
    try:
        return plain_files.plain_read(pointer, bytes_max=_POINTER_BYTES_MAX).rstrip(b"\n")
    except OSError:
        return None  # Another attempt's worktree goes away meanwhile, or somebody put something else there.


def _repository_lock(common_dir: Path) -> asyncio.Lock:
    return _repository_locks.setdefault(common_dir, asyncio.Lock())
