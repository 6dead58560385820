"""Named pipes, sockets and devices where git expects a file: it waits for a pipe until it is ended, and keeps none.

An attempt may leave one as a `.gitignore`, in a repository of its own inside the worktree, or in the place of a file of
the commit. Looked for only where git has failed, or takes long: a walk for each command would cost more than git does.
Those that git passes over, since they are nobody's file, are left alone; so is what lies behind a link. Deliberately
starts nothing. Called by `git.py` and `snapshots.py`. Tests: tests/unit/daemon/worktrees/test_special_files.py.
"""

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from local_daemon.worktrees import paths

_READ_ANYWHERE = frozenset({".gitignore", ".gitattributes"})
_READ_AT_A_ROOT = ".gitmodules"
_GIT = ".git"
_READ_IN_GIT = re.compile(
    r"(?:(?:modules|worktrees)/(?:.+/)?)?"
    r"(?:HEAD|commondir|config|config\.worktree|index|packed-refs|shallow|refs/.+|reftable/.+"
    r"|info/(?:attributes|exclude|grafts|sparse-checkout)"
    r"|objects/(?:info/(?:alternates|commit-graph.*)|pack/.+|[0-9a-f]{2}/[0-9a-f]+))",
    re.DOTALL,
)
"""What git reads in a `.git`; others keep a pipe of their own there."""
_GIT_FOLDERS = frozenset({"info", "modules", "objects", "refs", "reftable", "worktrees"})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NAMED_MAX = 5


def special_files_find(
    directory: Path, *, tracked: Iterable[bytes] = (), is_over: Callable[[], bool] = lambda: False
) -> list[Path]:
    """Those below a checkout that git would wait for, and those of any kind in the place of the files that are
    `tracked`; what is in the checkout's own `.git` is not looked at. Once it `is_over`, nobody wants to know any more.
    Blocking: call it in a thread."""
    found = set(_waited_for(directory, is_over))
    found.update(path for name in tracked if _is_special(directory, path := directory / os.fsdecode(name)))
    return sorted(found)


def special_files_remove(directory: Path, found: Iterable[Path]) -> None:
    """Take away those that were found, whoever exchanges a folder for a link meanwhile, and whoever may write there.
    Raises OSError where even that is of no use. Blocking: call it in a thread."""
    for path in found:
        with _unless_gone(), _folder_open(directory, path.parent) as folder:
            if _is_no_file(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode):
                _unlink(path.name, folder)


def named(found: Iterable[Path], *, directory: Path) -> str:
    """The first of them, as they may be shown."""
    names = [paths.path_text(os.fsencode(path.relative_to(directory))) for path in found]
    return ", ".join(names[:_NAMED_MAX]) + (f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else "")


def _waited_for(directory: Path, is_over: Callable[[], bool]) -> Iterator[Path]:
    root = str(directory)
    folders = deque([root])
    while folders and not is_over():
        folder = folders.popleft()
        below = folder[len(root) :].split(os.sep)[1:]
        # Sorted out by what the folder itself says of them: few are looked at one by one.
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):  # One that goes away meanwhile hides no other.
                    if entry.is_dir(follow_symlinks=False):
                        if _is_folder_read(below, entry.name):
                            folders.append(entry.path)
                    elif _is_file_read(folder, below, entry.name) and _holds_up(entry.stat(follow_symlinks=False)):
                        yield Path(entry.path)


def _is_folder_read(below: list[str], name: str) -> bool:
    if below[-1:] == [_GIT]:
        return name in _GIT_FOLDERS
    return bool(below) or name != _GIT


def _is_file_read(folder: str, below: list[str], name: str) -> bool:
    if _GIT in below:
        return _READ_IN_GIT.fullmatch("/".join([*below[below.index(_GIT) + 1 :], name])) is not None
    if name == _READ_AT_A_ROOT:
        return not below or os.path.lexists(os.path.join(folder, _GIT))
    return name in _READ_ANYWHERE


def _is_special(directory: Path, path: Path) -> bool:
    with suppress(OSError):
        if not _is_no_file(path.lstat().st_mode):
            return False
        with _folder_open(directory, path.parent) as folder:
            return _is_no_file(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno != errno.ELOOP:  # So macOS says that a folder has become a link.
            raise


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except PermissionError:
        os.fchmod(folder, 0o700)
        os.unlink(name, dir_fd=folder)


@contextmanager
def _folder_open(directory: Path, folder: Path) -> Iterator[int]:
    """A folder below the checkout, reached without following a link. Raises OSError."""
    descriptor = os.open(directory, _FOLDER)
    try:
        for name in folder.relative_to(directory).parts:
            deeper = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _is_no_file(mode: int) -> bool:
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _holds_up(found: os.stat_result) -> bool:
    """Whether opening or reading it may have no end; a socket can't even be opened."""
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)
