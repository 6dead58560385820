"""Reading files that an attempt may have touched: what stands there need not be a file, and may have no end.

An ordinary `open` waits on a named pipe until somebody writes to it, and with it would everything else in the daemon.
Links are followed, as git follows them. Deliberately judges no content. Called by whoever reads in a repository's
`.git`, in its folder, in a worktree, or what an attempt has printed.
Tests: tests/unit/daemon/config/test_plain_files.py.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_NO_FILE = frozenset({errno.ENXIO, errno.ENODEV, errno.ELOOP})
"""What opening a socket says, or a device, and links that lead in a circle."""


class NotPlain(OSError):
    """Something stands there that is no file: a folder, a pipe, a device."""


def plain_open(path: Path) -> BinaryIO:
    """A file to read, at once. Raises FileNotFoundError or NotADirectoryError where there is nothing, NotPlain where
    there is something that is no file, and another OSError where there is one that can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise NotPlain(error.errno, error.strerror) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlain(errno.EINVAL, "not a file")
    return open(descriptor, "rb")


def plain_read(path: Path, *, bytes_max: int) -> bytes:
    """The first `bytes_max` bytes of a file, at once. Raises OSError as above."""
    with plain_open(path) as file:
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
