"""The event stream of a repository: its words, one record's form, and the hash chain.

Pure: the daemon appends with it, the cloud checks with it. An event carries the whole view of the record it changed,
so that a follower never has to ask back. Tests: tests/unit/daemon/protocol/test_events.py.
"""

from enum import StrEnum
from typing import Any

from local_daemon.protocol import wire

GENESIS_HASH = "0" * 64
"""`prev_hash` of the first event of every log."""


class EventType(StrEnum):
    """What happened. `data` holds the view named by the word before the dot, under that word."""

    RUN_CREATED = "run.created"  # a run exists
    RUN_CHANGED = "run.changed"  # its state, closedness or counts moved
    STEP_CREATED = "step.created"  # a step is queued
    STEP_CHANGED = "step.changed"  # a step moved
    ATTEMPT_CHANGED = "attempt.changed"  # an attempt was leased or moved
    GATE_OPENED = "gate.opened"  # a decision is asked for
    GATE_DECIDED = "gate.decided"  # it was given, or expired
    VALIDATION_RECORDED = "validation.recorded"  # a check ended
    ARTIFACT_RECORDED = "artifact.recorded"  # evidence is kept
    EVIDENCE_EXPIRED = "evidence.expired"  # the operator's retention let the bytes of some evidence go
    APPLICATION_CHANGED = "application.changed"  # a result is to reach a branch, did, or did not


class EventRecord(wire.ViewModel):
    """One row of the log. `seq` counts from 1 without gaps within (`repository_id`, `log_id`)."""

    seq: wire.Position
    type: str
    at: wire.Instant
    run_id: str | None = None
    step_id: str | None = None
    call_id: str | None = None
    data: dict[str, Any]
    prev_hash: str
    hash: str


def event_hash(
    *,
    log_id: str,
    seq: int,
    event_type: str,
    at: str,
    run_id: str | None,
    step_id: str | None,
    call_id: str | None,
    data_text: bytes,
    prev_hash: str,
) -> str:
    """The chain link of one event: the SHA-256 of the canonical JSON array of these. `at` is the stored ISO 8601 text,
    because the text is what is hashed; `data_text` is the canonical form of the data, which who appends has already."""
    before = wire.canonical_json([log_id, seq, event_type, at, run_id, step_id, call_id])
    return wire.sha256_hex(b"%b,%b,%b]" % (before[:-1], data_text, wire.canonical_json(prev_hash)))


def format_instant(record: EventRecord) -> str:
    """The stored text of a record's time: UTC, microseconds, `+00:00`."""
    return record.at.isoformat(timespec="microseconds")


def is_linked(*, log_id: str, prev_hash: str, record: EventRecord) -> bool:
    """Whether the record follows `prev_hash` and its own hash is right."""
    return record.prev_hash == prev_hash and record.hash == event_hash(
        log_id=log_id,
        seq=record.seq,
        event_type=record.type,
        at=format_instant(record),
        run_id=record.run_id,
        step_id=record.step_id,
        call_id=record.call_id,
        data_text=wire.canonical_json(record.data),
        prev_hash=record.prev_hash,
    )
