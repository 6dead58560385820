"""The event log: one append-only, hash-chained row for every change, per repository; also the outbox to the cloud.

Services append in the transaction of the change itself. That rows are only ever added, each onto the head, is enforced
by triggers as well. Deliberately ignorant of what an event means. Read by the event stream and by `ropeway verify`.
Tests: tests/unit/daemon/storage/test_event_log.py.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local_daemon.protocol import errors, events, ids, limits, wire
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction

_CUTS = (2000, 500, 150)
_READ_AT_ONCE = 500
_ENVELOPE_BYTES = 600
"""What an event weighs besides its data: ids, hashes and names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHead:
    """Where a repository's log stands."""

    log_id: ids.LogId
    head_seq: int
    head_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """What checking a whole log found. `broken_at` is the first seq that does not fit; None: the chain holds."""

    repository_id: ids.RepositoryId
    log_id: ids.LogId
    checked: int
    head_seq: int
    broken_at: int | None
    problem: str | None

    @property
    def holds(self) -> bool:
        """Whether every event is there, in order and unchanged."""
        return self.broken_at is None


def log_create(tx: Transaction, *, repository_id: ids.RepositoryId) -> ids.LogId:
    """Begin the log of a repository that was just registered."""
    log_id = ids.LogId(ids.new_id(ids.IdPrefix.LOG))
    tx.execute(
        "INSERT INTO event_logs (log_id, repository_id, head_seq, head_hash) VALUES (?, ?, 0, ?)",
        (log_id, repository_id, events.GENESIS_HASH),
    )
    return log_id


def event_append(
    tx: Transaction,
    *,
    repository_id: ids.RepositoryId,
    event_type: events.EventType,
    data: dict[str, Any],
    run_id: ids.RunId | None = None,
    step_id: ids.StepId | None = None,
) -> events.EventRecord:
    """Add one event to the repository's log and wake who follows it. Long texts in `data` are cut so that the event
    stays within `limits.EVENT_BYTES`."""
    head = log_head(tx.connection, repository_id)
    fitted, text = event_data_fit(data)
    at, seq = tx.now_text, head.head_seq + 1
    digest = events.event_hash(
        log_id=head.log_id,
        seq=seq,
        event_type=event_type,
        at=at,
        run_id=run_id,
        step_id=step_id,
        call_id=tx.call_id,
        data_text=text,
        prev_hash=head.head_hash,
    )
    tx.execute(
        "INSERT INTO events (log_id, seq, type, at, run_id, step_id, call_id, data, prev_hash, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            head.log_id, seq, event_type, at, run_id, step_id, tx.call_id,
            text.decode(), head.head_hash, digest,
        ),
    )  # fmt: skip
    tx.execute("UPDATE event_logs SET head_seq = ?, head_hash = ? WHERE log_id = ?", (seq, digest, head.log_id))
    tx.touch(repository_id, run_id, step_id)
    return events.EventRecord(
        seq=seq,
        type=event_type,
        at=tx.now,
        run_id=run_id,
        step_id=step_id,
        call_id=tx.call_id,
        data=fitted,
        prev_hash=head.head_hash,
        hash=digest,
    )


def log_head(conn: Connection, repository_id: ids.RepositoryId) -> LogHead:
    """Where the repository's log stands. Raises NotFound for an unknown repository."""
    row = conn.execute(
        "SELECT log_id, head_seq, head_hash FROM event_logs WHERE repository_id = ?", (repository_id,)
    ).fetchone()
    if row is None:
        raise errors.NotFound("No such repository here.", repository_id=repository_id)
    return LogHead(log_id=ids.LogId(row["log_id"]), head_seq=row["head_seq"], head_hash=row["head_hash"])


def events_after(
    conn: Connection, repository_id: ids.RepositoryId, after_seq: int, limit: int
) -> tuple[events.EventRecord, ...]:
    """Up to `limit` events that follow `after_seq`, in order. Raises NotFound for an unknown repository."""
    return _read_after(conn, log_head(conn, repository_id).log_id, after_seq, limit)


def log_verify(conn: Connection, repository_id: ids.RepositoryId) -> LogReport:
    """Read the repository's whole log and check every link, and that it ends at the head that is on record."""
    head = log_head(conn, repository_id)
    seq, previous, problem = 0, events.GENESIS_HASH, None
    for record in _read_all(conn, head.log_id):
        if record.seq != seq + 1:
            problem = f"event {seq + 1} is missing"
        elif not events.is_linked(log_id=head.log_id, prev_hash=previous, record=record):
            problem = f"event {record.seq} was changed, or does not follow the one before"
        if problem is not None:
            break
        seq, previous = record.seq, record.hash
    if problem is None and (seq, previous) != (head.head_seq, head.head_hash):
        problem = f"the log ends at {seq}, but its head says {head.head_seq}"
    return LogReport(
        repository_id=repository_id,
        log_id=head.log_id,
        checked=seq,
        head_seq=head.head_seq,
        broken_at=None if problem is None else seq + 1,
        problem=problem,
    )


def event_data_fit(data: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The same data with its long texts cut as far as it takes to stay within `limits.EVENT_BYTES`, and its canonical
    form."""
    fitted, text = data, wire.canonical_json(data)
    for characters in _CUTS:
        if len(text) <= limits.EVENT_BYTES - _ENVELOPE_BYTES:
            break
        fitted = {key: _cut(value, characters) for key, value in data.items()}
        text = wire.canonical_json(fitted)
    return fitted, text


def _cut(value: Any, characters: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else value[: characters - 1] + "…"
    if isinstance(value, dict):
        return {key: _cut(item, characters) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, characters) for item in value]
    return value


def _read_all(conn: Connection, log_id: ids.LogId) -> Iterator[events.EventRecord]:
    seq = 0
    while True:
        page = _read_after(conn, log_id, seq, _READ_AT_ONCE)
        yield from page
        if len(page) < _READ_AT_ONCE:
            return
        seq = page[-1].seq


def _read_after(conn: Connection, log_id: ids.LogId, after_seq: int, limit: int) -> tuple[events.EventRecord, ...]:
    rows = conn.execute(
        "SELECT seq, type, at, run_id, step_id, call_id, data, prev_hash, hash FROM events "
        "WHERE log_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        (log_id, after_seq, limit),
    )
    return tuple(_record(row) for row in rows)


def _record(row: Row) -> events.EventRecord:
    return events.EventRecord(
        seq=row["seq"],
        type=row["type"],
        at=instants.instant_read(row["at"]),
        run_id=row["run_id"],
        step_id=row["step_id"],
        call_id=row["call_id"],
        data=json.loads(row["data"]),
        prev_hash=row["prev_hash"],
        hash=row["hash"],
    )
