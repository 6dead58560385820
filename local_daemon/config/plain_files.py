"""Reading files that an attempt may have touched: what stands there need not be a file, and may have no end.

An ordinary `open` waits on a named pipe until somebody writes to it, and with it would everything else in the daemon.
Links are followed, as git follows them. Deliberately judges no content. Called by whoever reads in a repository's
`.git`, in its folder, or in a worktree. Tests: tests/unit/daemon/config/test_plain_files.py.
"""

import errno
import os
import stat
from pathlib import Path


def plain_read(path: Path, *, bytes_max: int) -> bytes:
    """The first `bytes_max` bytes of a file, at once. Raises FileNotFoundError or NotADirectoryError where there is
    nothing, and another OSError where there is something that is no file, or that can't be read."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        return file.read(bytes_max)


def plain_holds(path: Path, content: bytes) -> bool:
    """Whether a file holds exactly this, however much there is of it. Raises OSError as above."""
    return plain_read(path, bytes_max=len(content) + 1) == content


def pipe_refuse(path: Path) -> None:
    """Before git reads there: raises OSError where something stands that it might wait for. A folder is none, and
    neither is nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except ValueError as error:  # Git reads up to the NUL, and finds something else.
        raise OSError(errno.EINVAL, "not a name of a file", path.name) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "not a file", path.name)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
