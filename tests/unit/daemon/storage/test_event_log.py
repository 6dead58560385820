"""The log is append-only, chained, and small enough to travel."""

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import errors, events, ids, limits, wire
from local_daemon.repositories.records import Repository
from local_daemon.storage import event_log
from tests.record import Record


@pytest.fixture
def repository(record: Record) -> Repository:
    """A repository whose log is empty."""
    return record.repository()


def _append(record: Record, repository: Repository, **data: Any) -> events.EventRecord:
    return record.write(
        lambda tx: event_log.event_append(
            tx,
            repository_id=repository.repository_id,
            event_type=events.EventType.RUN_CHANGED,
            run_id=ids.RunId("run_x"),
            data=data or {"run": {"state": "open"}},
        )
    )


def test_events_are_numbered_and_each_follows_the_one_before(record: Record, repository: Repository) -> None:
    written = [_append(record, repository) for _ in range(5)]
    head = event_log.log_head(record.connection, repository.repository_id)
    read = event_log.events_after(record.connection, repository.repository_id, 0, 10)
    assert list(read) == written
    assert [event.seq for event in read] == [1, 2, 3, 4, 5]
    assert (head.head_seq, head.head_hash) == (5, written[-1].hash)
    previous = events.GENESIS_HASH
    for event in read:
        assert events.is_linked(log_id=head.log_id, prev_hash=previous, record=event)
        previous = event.hash


def test_an_event_survives_the_wire_with_its_link(record: Record, repository: Repository) -> None:
    event = _append(record, repository)
    log_id = event_log.log_head(record.connection, repository.repository_id).log_id
    travelled = events.EventRecord.model_validate_json(event.model_dump_json())
    assert events.is_linked(log_id=log_id, prev_hash=events.GENESIS_HASH, record=travelled)


def test_reading_goes_on_after_a_position(record: Record, repository: Repository) -> None:
    for _ in range(5):
        _append(record, repository)
    page = event_log.events_after(record.connection, repository.repository_id, 2, 2)
    assert [event.seq for event in page] == [3, 4]


def test_logs_of_two_repositories_are_apart(record: Record, repository: Repository) -> None:
    other = record.repository("/other")
    _append(record, repository)
    _append(record, other)
    assert event_log.log_head(record.connection, other.repository_id).head_seq == 1
    reports = [event_log.log_verify(record.connection, known.repository_id) for known in (repository, other)]
    assert all(report.holds and report.checked == 1 for report in reports)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE events SET data = '{}' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 2",
        "INSERT INTO events (log_id, seq, type, at, data, prev_hash, hash) SELECT log_id, 99, type, at, data, hash, "
        "hash FROM events WHERE seq = 1",
        "UPDATE event_logs SET head_seq = 0",
        "DELETE FROM event_logs",
    ],
)
def test_the_record_refuses_to_change_what_happened(record: Record, repository: Repository, tampering: str) -> None:
    for _ in range(3):
        _append(record, repository)
    with pytest.raises(sqlite3.IntegrityError):
        record.connection.execute(tampering)
    assert event_log.log_verify(record.connection, repository.repository_id).holds


@pytest.mark.parametrize(
    ("tampering", "broken_at"),
    [
        ("UPDATE events SET data = '{\"run\":{}}' WHERE seq = 2", 2),
        ("UPDATE events SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 3", 3),
        ("UPDATE events SET call_id = 'call_x' WHERE seq = 1", 1),
        ("DELETE FROM events WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 3", 3),
    ],
)
def test_tampering_past_the_triggers_is_found(
    record: Record, repository: Repository, tampering: str, broken_at: int
) -> None:
    for _ in range(3):
        _append(record, repository)
    for trigger in ("events_are_never_changed", "events_are_never_deleted"):
        record.connection.execute(f"DROP TRIGGER {trigger}")
    record.connection.execute(tampering)
    report = event_log.log_verify(record.connection, repository.repository_id)
    assert (report.holds, report.broken_at) == (False, broken_at)
    assert report.problem is not None


def test_an_unknown_repository_is_not_found(record: Record) -> None:
    with pytest.raises(errors.NotFound):
        event_log.events_after(record.connection, ids.RepositoryId("repo_unknown"), 0, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-9999, max_value=9999) | st.text(max_size=40_000),
    lambda children: st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=3))
def test_an_event_always_fits_its_frame(data: dict[str, Any]) -> None:
    fitted, text = event_log.event_data_fit(data)
    assert text == wire.canonical_json(fitted)
    assert len(text) <= limits.EVENT_BYTES
    if len(wire.canonical_json(data)) < 15_000:
        assert fitted == data
