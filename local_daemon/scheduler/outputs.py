"""What an attempt says, to be read while it still says it: cleaned as evidence is, and how the evidence will begin.

An attempt's output is opened before its executor starts, or by recovery, and closed once it is an artifact. Nobody's
reading costs nobody anything: only what is asked for is cleaned before the end. Deliberately knows no record; whether
an attempt is over is its reader's to look up. Called by `execution`, `conclusion`, `recovery`, and through `operations`
by who reads logs. Tests: tests/integration/daemon/test_live_output.py.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from local_daemon.processes import capture, growth
from local_daemon.protocol import errors, ids

STDOUT = "stdout"
STDERR = "stderr"
"""Names of the attempt's output files in its scratch directory, and of the artifacts made of them."""

_CLEAN_SUFFIX = ".clean"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    scratch: Path
    captures: dict[str, capture.Capture]


class Outputs:
    """The outputs of the attempts that are at work. What cleans blocks, and belongs in a thread where it is much."""

    def __init__(self) -> None:
        """Nothing is at work yet."""
        self._growth = growth.Growth()
        self._open: dict[ids.AttemptId, _Open] = {}

    def open(self, attempt_id: ids.AttemptId, scratch: Path, *, known: Callable[[], capture.Known]) -> None:
        """From now on the attempt's output can be read. The secrets of now stay secret, whatever becomes of the files
        that hold them. What is open stays as it is."""
        if attempt_id in self._open:
            return
        captures = {
            name: capture.Capture(scratch / name, scratch / f"{name}{_CLEAN_SUFFIX}", known=known)
            for name in (STDOUT, STDERR)
        }
        for each in captures.values():
            each.remember()
        self._open[attempt_id] = _Open(scratch=scratch, captures=captures)

    def close(self, attempt_id: ids.AttemptId) -> None:
        """It is an artifact by now, or there will be none."""
        self._open.pop(attempt_id, None)

    def is_open(self, attempt_id: ids.AttemptId) -> bool:
        """Whether the attempt is at work here."""
        return attempt_id in self._open

    def finish(self, attempt_id: ids.AttemptId, name: str) -> Path | None:
        """All of an output that has ended, cleaned; None where there is none. Raises StorageFull."""
        found = self._open[attempt_id]
        if not _is_there(found.scratch / name):
            return None
        with room_required():
            found.captures[name].finish()
        return found.scratch / f"{name}{_CLEAN_SUFFIX}"

    def is_little(self, attempt_id: ids.AttemptId, name: str) -> bool:
        """Whether what has come since the last reading costs less to clean than to bring to a thread."""
        found = self._open.get(attempt_id)
        return found is not None and found.captures[name].is_little()

    def read(self, attempt_id: ids.AttemptId, name: str, *, offset: int, length: int) -> capture.Piece | None:
        """A piece of what is there by now; None where there is nothing. Raises StorageFull, RangeInvalid."""
        found = self._open.get(attempt_id)
        if found is None:
            return None
        try:
            with room_required():
                return _within(found.captures[name].read(offset=offset, length=length), offset)
        except FileNotFoundError:
            return None  # Not begun, or closed and taken away meanwhile.

    @contextmanager
    def followed(self, attempt_id: ids.AttemptId, name: str) -> Iterator[growth.Growing | None]:
        """Be told when there is more to read; None where nothing tells, because there is nothing yet or no more."""
        found = self._open.get(attempt_id)
        if found is None or not (found.scratch / name).exists():
            yield None
            return
        with self._growth.watched(found.scratch / name) as growing:
            yield growing


def log_read(log: BinaryIO, size_bytes: int, *, offset: int, length: int) -> capture.Piece:
    """A piece of an output that has become an artifact. Raises RangeInvalid."""
    return _within(capture.log_piece(log, size_bytes, offset=offset, length=length), offset)


def left_read(left: capture.Capture, *, offset: int, length: int) -> capture.Piece | None:
    """A piece of what an attempt left that was given up: it never became an artifact. None where there is nothing.
    Blocks. Raises StorageFull, RangeInvalid."""
    try:
        with room_required():
            left.finish()
            return _within(left.read(offset=offset, length=length), offset)
    except FileNotFoundError:
        return None


def _is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _within(piece: capture.Piece, offset: int) -> capture.Piece:
    if offset > piece.size_bytes:
        raise errors.RangeInvalid(size_bytes=piece.size_bytes)
    return piece


@contextmanager
def room_required() -> Iterator[None]:
    """What is written within needs room on the disk. Raises StorageFull where there is none."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise errors.StorageFull from error
        raise
