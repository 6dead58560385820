"""Instants as the record stores them: ISO 8601 text in UTC with microseconds, which sorts as it reads.

Deliberately no clock: who needs "now" gets it handed in. Called by every `store.py`.
Tests: tests/unit/daemon/storage/test_instants.py.
"""

from datetime import UTC, datetime


def instant_text(instant: datetime) -> str:
    """The stored text of an aware instant. Raises ValueError for a naive one, which names no instant."""
    if instant.tzinfo is None:
        raise ValueError("a naive datetime names no instant")
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def instant_read(text: str) -> datetime:
    """The aware instant behind a stored text."""
    return datetime.fromisoformat(text)


def optional_text(instant: datetime | None) -> str | None:
    """The stored text, or None where nothing happened yet."""
    return None if instant is None else instant_text(instant)


def optional_read(text: str | None) -> datetime | None:
    """The instant behind a stored text, or None where nothing happened yet."""
    return None if text is None else instant_read(text)
