"""A log whose end was cut off is found by what the record says without it, though its chain holds."""

from collections.abc import Callable

import pytest

from local_daemon.artifacts.records import ArtifactKind
from local_daemon.evidence import agreement
from local_daemon.protocol.states import StepState
from local_daemon.steps.records import Step
from local_daemon.storage import event_log
from tests.record import Record


@pytest.fixture
def step(record: Record) -> Step:
    """A step that works in one repository, beside another repository."""
    record.step(record.run(record.repository("/other")))
    step = record.step(record.run(record.repository()))
    record.artifact(record.work(step), ArtifactKind.STDOUT)
    return record.step_now(step)


def found(record: Record) -> list[str]:
    return list(agreement.disagreements(record.connection))


def cut(record: Record, step: Step, *, keep: int) -> event_log.LogReport:
    """Take the end off the log, and move its head back so that the chain holds."""
    connection = record.connection
    log_id = event_log.log_head(connection, step.repository_id).log_id
    connection.execute("DROP TRIGGER IF EXISTS events_are_never_deleted")
    connection.execute("DROP TRIGGER IF EXISTS event_logs_never_shrink")
    connection.execute("DELETE FROM events WHERE log_id = ? AND seq > ?", (log_id, keep))
    connection.execute(
        "UPDATE event_logs SET head_seq = ?, head_hash = (SELECT hash FROM events WHERE log_id = ? AND seq = ?) "
        "WHERE log_id = ?",
        (keep, log_id, keep, log_id),
    )
    return event_log.log_verify(connection, step.repository_id)


def test_a_record_that_nobody_touched_is_where_its_log_says(record: Record, step: Step) -> None:
    assert step.state is not StepState.QUEUED
    assert found(record) == []


def test_a_log_without_its_end_is_found_wherever_it_was_cut(record: Record, step: Step) -> None:
    head = event_log.log_head(record.connection, step.repository_id).head_seq
    for keep in range(head - 1, 0, -1):
        assert cut(record, step, keep=keep).holds
        assert found(record), f"cut after {keep} of {head}"


def _step_moved(record: Record, step: Step) -> None:
    record.connection.execute("UPDATE steps SET state = 'collecting' WHERE step_id = ?", (step.step_id,))


def _attempt_gone(record: Record, step: Step) -> None:
    record.connection.execute("PRAGMA foreign_keys = OFF")
    record.connection.execute("DELETE FROM attempts WHERE step_id = ?", (step.step_id,))


def _artifact_exchanged(record: Record, step: Step) -> None:
    record.connection.execute("DROP TRIGGER artifacts_are_never_changed")
    record.connection.execute("UPDATE artifacts SET sha256 = ?", ("b" * 64,))


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (_step_moved, "it is collecting, and the log last says"),
        (_attempt_gone, "the log tells it, and it is not on record"),
        (_artifact_exchanged, "its sha256 is not the one that the log tells"),
    ],
)
def test_a_table_that_was_changed_by_hand_is_found(
    record: Record, step: Step, tamper: Callable[[Record, Step], None], finding: str
) -> None:
    tamper(record, step)
    assert any(finding in each for each in found(record))
