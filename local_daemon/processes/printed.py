"""Opening what a process has printed: what is no file, which it may have put in its place, has said nothing.

Links are followed. Deliberately judges no content. Called by `capture` and by the executors' adapters.
Tests: tests/unit/daemon/processes/test_printed.py.
"""

import os
from pathlib import Path
from typing import BinaryIO

from local_daemon.config import plain_files


def printed_open(path: Path) -> BinaryIO:
    """The file, at once; nothing to read where something stands that is none. Raises FileNotFoundError."""
    try:
        return plain_files.plain_open(path)
    except plain_files.NotPlain:
        return open(os.devnull, "rb")
