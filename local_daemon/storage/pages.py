"""Pages of a list: a cursor carries the position of the last item, so that a page costs what it shows.

Deliberately no offsets: they skip and repeat items while the list grows. Called by selectors.
Tests: tests/unit/daemon/storage/test_pages.py.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from local_daemon.protocol import errors

_END_OF_TIME = 2**62
_CURSOR_DIGITS = 18


class Placed(Protocol):
    """A record that knows its place in the order of commits."""

    @property
    def position(self) -> int:
        """Its place."""


T = TypeVar("T", bound=Placed)


def before_position(cursor: str | None) -> int:
    """Where a list of the newest first goes on. Raises InvalidRequest."""
    return _END_OF_TIME if cursor is None else _position(cursor)


def after_position(cursor: str | None) -> int:
    """Where a list of the oldest first goes on. Raises InvalidRequest."""
    return 0 if cursor is None else _position(cursor)


def page_cut(items: Sequence[T], *, limit: int) -> tuple[tuple[T, ...], str | None]:
    """The page out of up to `limit + 1` items that were read, and the cursor of the next page if there is one."""
    page = tuple(items[:limit])
    return page, str(page[-1].position) if len(items) > limit else None


def _position(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > _CURSOR_DIGITS:
        raise errors.InvalidRequest("cursor: take it from the page before")
    return int(cursor)
