"""Giving the owner rights back on what a program of an attempt locked up: the daemon runs as the same user.

Follows no link and takes no right from anybody; what nobody can give back stays as it is, and who reads there says so.
Called by `snapshots.py`, for what git may not look at, and by the scheduler, for the daemon's own files.
Tests: tests/integration/daemon/test_locked_folders.py.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path


def rights_let(path: Path) -> bool:
    """Let the owner read and write what is there, and enter a folder; answers whether a right was missing."""
    return _let(path, stat.S_IRUSR | stat.S_IWUSR)


def rights_let_below(root: Path) -> bool:
    """Let the owner read a folder and all that is in it; answers whether a right was missing. Blocking."""
    has_missed = _let(root, stat.S_IRUSR)
    folders = [root]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                has_missed = _let(path, stat.S_IRUSR) or has_missed
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
    return has_missed


def _let(path: Path, rights: int) -> bool:
    with suppress(OSError):
        mode = path.lstat().st_mode
        wanted = rights | stat.S_IXUSR if stat.S_ISDIR(mode) else rights if stat.S_ISREG(mode) else 0
        if wanted & ~mode:
            os.chmod(path, stat.S_IMODE(mode) | wanted)
            return True
    return False
