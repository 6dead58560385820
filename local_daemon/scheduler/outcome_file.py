"""The file a launcher keeps about its program, read by a later daemon (see ADR 0002).

Tests: tests/unit/daemon/scheduler/test_outcome_file.py.
"""

from enum import StrEnum
from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.processes import children

NAME = "outcome"
_BYTES_MAX = 16


class Outcome(StrEnum):
    """What the file tells by itself."""

    NOT_STARTED = "not_started"  # there is none: the program never ran
    UNKNOWN = "unknown"  # it ran; how it ended is not written
    ENDED = "ended"  # it ran, and how it ended is written


def outcome_read(path: Path) -> tuple[Outcome, children.ExitStatus | None]:
    """What the launcher wrote at `path`."""
    try:
        text = plain_files.plain_read(path, bytes_max=_BYTES_MAX).decode("ascii", errors="replace")
    except FileNotFoundError:
        return Outcome.NOT_STARTED, None
    except plain_files.NotPlain:
        return Outcome.UNKNOWN, None  # The program has put it there.
    # Half a line would be another number.
    if not text.endswith("\n") or not text.strip().isdigit():
        return Outcome.UNKNOWN, None
    return Outcome.ENDED, children.ExitStatus(exit_code=int(text))
