"""Files that the repository ignores and an attempt left behind: listed with the changes, and kept on the machine.

Never part of a patch or of what leaves the machine: a build's output, a cache, sometimes a secret. Between the turns of
a conversation they are put aside and brought back, so that nothing is built or installed twice. Called by `changes.py`
(the list) and the scheduler. Tests: tests/unit/daemon/worktrees/test_ignored.py.
"""

import asyncio
import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.worktrees import deletion, git, paths, provisioning, worktree


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredFile:
    """An ignored file, or a directory of nothing else (its path ends in `/`, its size is everything below it)."""

    path: str
    size_bytes: int


_BROUGHT = "brought-back"
_BROUGHT_NAMES = "brought-back.json"
_NAMES_BYTES_MAX = 64 * 1024 * 1024


async def ignored_list(of: worktree.Worktree) -> tuple[IgnoredFile, ...]:
    """What is in the worktree, ignored, and the attempt's doing: not what was provisioned, nor what was brought back
    and is as it was."""
    names = await _names(of)
    if not names:
        return ()
    return await asyncio.to_thread(_changed, of, names)


async def ignored_put_aside(of: worktree.Worktree, *, destination: Path) -> None:
    """Move everything ignored out of the worktree, for the next one in its place; what was there before goes, if there
    is anything. What an interrupted move had taken by then counts as still in the worktree."""
    await asyncio.to_thread(_move_back, of, destination)
    names = await _names(of)
    await asyncio.to_thread(_move_aside, of, names, destination)


def ignored_bring_back(of: worktree.Worktree, *, source: Path) -> None:
    """Move what was put aside into a new worktree, but for what has come to be there otherwise. Blocking: call it in a
    thread."""
    brought = worktree.own_dir(of.path) / _BROUGHT
    try:
        source.rename(brought)  # Nobody else can take it away from here on.
    except FileNotFoundError:
        return
    names = _names_kept(brought)
    marks = {}
    for position, name in enumerate(names):
        target = of.path / name
        if os.path.lexists(target) or not provisioning.has_real_parents(of.path, name):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (brought / str(position)).rename(target)
            marks[name] = _mark(target)
    worktree.own_write(of.path, _BROUGHT_NAMES, json.dumps(marks).encode())
    done = brought.with_name(f"{_BROUGHT}.done")  # Under another name, so that half of it is never taken for the whole.
    brought.rename(done)
    deletion.tree_delete(done)


def is_brought_back(path: Path) -> bool:
    """Whether anything was brought back into the worktree at `path`, or begun to be; two looks at the disk."""
    own = worktree.own_dir(path)
    return (own / _BROUGHT).exists() or (own / _BROUGHT_NAMES).exists()


def is_half_brought(path: Path) -> bool:
    """Whether bringing back into the worktree at `path` was interrupted: nothing has run there since."""
    return (worktree.own_dir(path) / _BROUGHT).exists()


def ignored_return(path: Path, *, destination: Path) -> None:
    """Put aside again what was brought back into the worktree at `path`, where nothing has run since; also where that,
    or this, was interrupted. Nothing happens where nothing was brought. Raises OSError, and then nothing is lost as
    long as the worktree and its own directory stay. Blocking: call it in a thread."""
    own = worktree.own_dir(path)
    brought = own / _BROUGHT
    if not brought.exists():
        marks = worktree.own_text(path, _BROUGHT_NAMES)
        if marks is None:
            return
        names = list(json.loads(marks))
        fresh = own / f"{_BROUGHT}.new"
        deletion.tree_delete(fresh)
        fresh.mkdir(mode=0o700)
        (fresh / _BROUGHT_NAMES).write_text(json.dumps(names), encoding="utf-8")
        fresh.rename(brought)
    for position, name in enumerate(_names_kept(brought)):
        kept = brought / str(position)
        if not os.path.lexists(kept) and provisioning.has_real_parents(path, name):
            with suppress(FileNotFoundError):
                (path / name).rename(kept)
    (own / _BROUGHT_NAMES).unlink(missing_ok=True)
    brought.rename(destination)


async def _names(of: worktree.Worktree) -> list[bytes]:
    answer = await git.git(of.place, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    return provisioning.without(provisioning.names_read(of.path), filter(None, answer.stdout.split(b"\0")))


def _changed(of: worktree.Worktree, names: Sequence[bytes]) -> tuple[IgnoredFile, ...]:
    noted = worktree.own_note(of.path, _BROUGHT_NAMES)
    marks = noted if isinstance(noted, dict) else {}
    return tuple(
        IgnoredFile(path=paths.path_text(raw), size_bytes=size_bytes(of.path / os.fsdecode(raw)))
        for raw in names
        if (mark := marks.get(os.fsdecode(raw).rstrip("/"))) is None or mark != _mark(of.path / os.fsdecode(raw))
    )


def _move_aside(of: worktree.Worktree, names: Sequence[bytes], destination: Path) -> None:
    if not names:
        return  # What is there already may be this worktree's own, put aside before an interruption.
    deletion.tree_delete(destination)
    fresh = _fresh(destination)
    fresh.mkdir(mode=0o700, parents=True)
    wanted = [os.fsdecode(raw).rstrip("/") for raw in names]
    # Before anything is moved, so that whoever is interrupted knows whose it is.
    (fresh / _BROUGHT_NAMES).write_text(json.dumps(wanted), encoding="utf-8")
    for position, name in enumerate(wanted):
        with suppress(FileNotFoundError):
            (of.path / name).rename(fresh / str(position))
    fresh.rename(destination)


def _move_back(of: worktree.Worktree, destination: Path) -> None:
    """Undo a move that was interrupted, where nothing else has come to be there."""
    fresh = _fresh(destination)
    with suppress(FileNotFoundError, ValueError):  # It had not begun.
        for position, name in enumerate(_names_kept(fresh)):
            kept, target = fresh / str(position), of.path / name
            if os.path.lexists(kept) and not os.path.lexists(target) and provisioning.has_real_parents(of.path, name):
                target.parent.mkdir(parents=True, exist_ok=True)
                kept.rename(target)
    deletion.tree_delete(fresh)


def _names_kept(aside: Path) -> list[str]:
    """What the files were called that lie here under numbers. Raises OSError, ValueError."""
    return list(json.loads(plain_files.plain_read(aside / _BROUGHT_NAMES, bytes_max=_NAMES_BYTES_MAX)))


def _fresh(destination: Path) -> Path:
    return destination.with_name(f"{destination.name}.new")


def _mark(path: Path) -> str:
    """Another one where anything in it was written, made or deleted."""
    digest = hashlib.sha256()
    for each in sorted(_below(path)):
        found = os.lstat(each)
        facts = (found.st_mode, 0, 0) if os.path.isdir(each) else (found.st_mode, found.st_size, found.st_mtime_ns)
        digest.update(repr((os.path.relpath(each, path), facts)).encode("utf-8", errors="surrogateescape"))
    return digest.hexdigest()


def _below(path: Path) -> Iterator[str]:
    yield os.fspath(path)
    if path.is_dir() and not path.is_symlink():
        for folder, folders, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in (*folders, *names))


def ignored_archive(
    of: worktree.Worktree, files: Sequence[IgnoredFile], *, destination: Path, bytes_max: int
) -> tuple[IgnoredFile, ...]:
    """Write the smallest of `files` that fit in `bytes_max` together to a tar file; answers what was left out.
    Blocking: call it in a thread."""
    left_out = []
    with tarfile.open(destination, "w") as archive:
        for file in sorted(files, key=lambda file: file.size_bytes):
            if file.size_bytes > bytes_max:
                left_out.append(file)
                continue
            name = os.fsdecode(paths.path_raw(file.path))
            try:
                archive.add(of.path / name, arcname=name)
            except OSError:
                left_out.append(file)  # It may not be read, or not be described in an archive.
            else:
                bytes_max -= file.size_bytes
    return tuple(left_out)


def size_bytes(path: Path) -> int:
    """How much a file takes, or a folder with everything below it."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)
