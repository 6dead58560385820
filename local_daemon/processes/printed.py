"""Opening what a process has printed, which it may have replaced by something that has no end.

An ordinary `open` waits on a named pipe until somebody writes to it, and with it would a thread, or the daemon. Links
are followed. Deliberately judges no content. Called by `capture` and by the executors' adapters.
Tests: tests/unit/daemon/processes/test_printed.py.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_NO_FILE = frozenset({errno.ENXIO, errno.ELOOP})
"""What opening a socket says, and links that lead in a circle."""


def printed_open(path: Path) -> BinaryIO:
    """The file, at once; nothing to read where something stands that is none. Raises FileNotFoundError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return open(os.devnull, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return open(os.devnull, "rb")
    return open(descriptor, "rb")
