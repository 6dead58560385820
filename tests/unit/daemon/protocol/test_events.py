"""An event's place in the chain binds everything it says."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local_daemon.protocol import events, wire

LOG = "log_01j00000000000000000000000"
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
SAID: dict[str, Any] = {
    "seq": 1, "type": "run.created", "at": AT, "run_id": "run_x", "step_id": None, "call_id": None, "data": {"a": "é"},
    "prev_hash": events.GENESIS_HASH,
}  # fmt: skip


def _record(**changes: Any) -> events.EventRecord:
    """The event as it was recorded, with changes that were made to it afterwards."""
    digest = events.event_hash(
        log_id=LOG,
        seq=SAID["seq"],
        event_type=SAID["type"],
        at="2026-01-02T03:04:05.000006+00:00",
        run_id=SAID["run_id"],
        step_id=None,
        call_id=None,
        data_text=wire.canonical_json(SAID["data"]),
        prev_hash=SAID["prev_hash"],
    )
    return events.EventRecord.model_validate({**SAID, "hash": digest, **changes})


def test_a_record_that_was_left_alone_is_linked_also_after_the_wire() -> None:
    record = _record()
    again = events.EventRecord.model_validate_json(record.model_dump_json())
    assert events.is_linked(log_id=LOG, prev_hash=events.GENESIS_HASH, record=again)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 2}, {"type": "run.changed"}, {"at": AT.replace(microsecond=7)}, {"run_id": "run_y"}, {"run_id": None},
        {"step_id": "step_x"}, {"call_id": "call_x"}, {"data": {"a": "e"}}, {"data": {}}, {"prev_hash": "1" * 64},
        {"hash": "1" * 64},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_that_was_changed_is_not_linked(change: dict[str, Any]) -> None:
    assert not events.is_linked(log_id=LOG, prev_hash=events.GENESIS_HASH, record=_record(**change))


def test_a_record_is_linked_in_its_own_log_and_place_only() -> None:
    assert not events.is_linked(log_id="log_other", prev_hash=events.GENESIS_HASH, record=_record())
    assert not events.is_linked(log_id=LOG, prev_hash="1" * 64, record=_record())
