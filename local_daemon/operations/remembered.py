"""Idempotency: the final answer of a mutating call is kept in the transaction of its effect, and given again.

Same call, same body: the same answer, success or an error that would not change. Same call, another body: refused. What
may succeed later is never remembered; calls without an id, as from this machine, are not either. Called by handlers.
Tests: tests/unit/daemon/operations/test_remembered.py.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel

from local_daemon.operations.context import Call
from local_daemon.protocol import errors, ids, limits, origins, wire
from local_daemon.protocol.operation import Audience
from local_daemon.repositories import selectors as repositories
from local_daemon.storage import database, instants
from local_daemon.storage.transaction import Transaction

Outcome = BaseModel | errors.RopewayError
Change = Callable[[Transaction], BaseModel]

_FORGOTTEN_AT_ONCE = 20
"""Old answers removed with each new one: more than come in, so the table stays bounded without a timer."""

_NEVER_FINAL = frozenset({errors.Internal.code, errors.StorageFull.code})


def once(call: Call, change: Change) -> Callable[[Transaction], Outcome]:
    """The same change, done at most once for this call. A final error comes back as a value, so that it is kept;
    `answered` raises it."""
    call_id = call.call_id
    if call_id is None:
        return _asked(call, change)
    # Here, not on the writer's thread: a body may be megabytes.
    digest = _digest(call)

    def change_once(tx: Transaction) -> Outcome:
        known = _recall(tx.connection, call, call_id, digest, now=tx.now)
        if known is not None:
            return known
        try:
            with tx.savepoint():
                answer = _asked(call, change)(tx)
        except errors.RopewayError as error:
            if error.is_retryable or error.code in _NEVER_FINAL:
                raise
            _keep(tx, call, call_id, digest, outcome="problem", content=json.dumps(error.problem()))
            return error
        _keep(tx, call, call_id, digest, outcome="answer", content=answer.model_dump_json())
        return answer

    return change_once


def _asked(call: Call, change: Change) -> Change:
    """The change, on record as that of who called."""

    def change_asked(tx: Transaction) -> BaseModel:
        tx.actor = call.actor or None
        # What a planner may ask is work; what only an operator may ask makes a repository known again.
        if call.operation.audience is Audience.PLANNER:
            repositories.repository_working(tx.connection, call.repository_id)
        return change(tx)

    return change_asked


def recall(conn: database.Connection, call: Call, *, now: datetime) -> Outcome | None:
    """The answer or error of this call, if it had one: for who does more than write. Raises IdempotencyConflict."""
    return None if call.call_id is None else _recall(conn, call, call.call_id, _digest(call), now=now)


def answered(outcome: Outcome) -> BaseModel:
    """The answer; raises the error if the call ended in one."""
    if isinstance(outcome, errors.RopewayError):
        raise outcome
    return outcome


def _digest(call: Call) -> str:
    body = None if call.body is None else origins.digested(call.body)
    return wire.body_digest([call.operation.name, dict(call.parameters), body])


def _recall(
    conn: database.Connection, call: Call, call_id: ids.CallId, digest: str, *, now: datetime
) -> Outcome | None:
    row = conn.execute(
        "SELECT body_sha256, outcome, content FROM calls WHERE call_id = ? AND at > ?",
        (call_id, instants.instant_text(_oldest_kept(now))),
    ).fetchone()
    if row is None:
        return None
    if row["body_sha256"] != digest:
        raise errors.IdempotencyConflict(call_id=call_id)
    if row["outcome"] == "problem":
        return errors.from_problem(json.loads(row["content"]))
    return call.operation.response.model_validate_json(row["content"])


def _keep(tx: Transaction, call: Call, call_id: ids.CallId, digest: str, *, outcome: str, content: str) -> None:
    tx.execute(
        "DELETE FROM calls WHERE call_id IN (SELECT call_id FROM calls WHERE at <= ? ORDER BY at LIMIT ?)",
        (instants.instant_text(_oldest_kept(tx.now)), _FORGOTTEN_AT_ONCE),
    )
    tx.execute(
        "INSERT OR REPLACE INTO calls (call_id, operation, body_sha256, outcome, content, at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (call_id, call.operation.name, digest, outcome, content, tx.now_text),
    )


def _oldest_kept(now: datetime) -> datetime:
    return now - timedelta(seconds=limits.IDEMPOTENCY_S)
