"""Named pipes, sockets and devices where git expects a file: it waits for a pipe until it is ended, and keeps none.

An attempt may leave one as a `.gitignore`, in a repository of its own inside the worktree, or in the place of a file of
the commit. Looked for only where git has failed, or takes long: a walk for each command would cost more than git does.
Those that git passes over, since they are nobody's file, are left alone. Deliberately starts nothing.
Called by `git.py` and `snapshots.py`. Tests: tests/unit/daemon/worktrees/test_special_files.py.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from local_daemon.worktrees import paths

_READ_BY_GIT = frozenset({".gitignore", ".gitattributes", ".gitmodules"})
_GIT = ".git"
_NAMED_MAX = 5


def special_files_find(directory: Path, *, tracked: Iterable[bytes] = ()) -> list[Path]:
    """Those below a checkout that git would open, and those in the place of the files that are `tracked`; what is in
    the checkout's own `.git` is not looked at. Blocking: call it in a thread."""
    found = set(_opened_by_git(directory))
    found.update(path for name in tracked if _is_special(path := directory / os.fsdecode(name)))
    return sorted(found)


def named(found: Iterable[Path], *, directory: Path) -> str:
    """The first of them, as they may be shown."""
    names = [paths.path_text(os.fsencode(path.relative_to(directory))) for path in found]
    return ", ".join(names[:_NAMED_MAX]) + (f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else "")


def _opened_by_git(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        below = Path(folder).relative_to(directory).parts
        if not below and _GIT in folders:
            folders.remove(_GIT)
        wanted = names if _GIT in below else _READ_BY_GIT.intersection(names)
        yield from (path for name in wanted if _is_special(path := Path(folder, name)))


def _is_special(path: Path) -> bool:
    with suppress(OSError):
        mode = path.lstat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
    return False
