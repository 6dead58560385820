"""Cursors as the operations of this room tell them: opaque words that come from the page before.

Tests: tests/integration/cloud/operations/test_table.py.
"""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from local_daemon.protocol import errors, ids
from local_daemon.protocol.ids import IdPrefix

_NOT_OURS = "The cursor comes from the page before."

R = TypeVar("R")


def uuid_of(cursor: str | None) -> UUID | None:
    """The row after which the page begins. Raises InvalidRequest."""
    try:
        return UUID(cursor) if cursor else None
    except ValueError as error:
        raise errors.InvalidRequest(_NOT_OURS) from error


def id_of(cursor: str | None, prefix: IdPrefix) -> str | None:
    """The same, where rows go by a machine's ids. Raises InvalidRequest."""
    if cursor is not None and not ids.is_id(prefix, cursor):
        raise errors.InvalidRequest(_NOT_OURS)
    return cursor


def last_of(rows: Sequence[R], limit: int) -> R | None:
    """The row after which the next page begins; None where this page was not full, so there is none."""
    return rows[-1] if len(rows) == limit else None
