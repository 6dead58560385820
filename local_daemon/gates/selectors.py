"""Reads of gates, and their view.

Called by operation handlers and the scheduler. Tests: tests/unit/daemon/gates/test_services.py.
"""

from datetime import datetime

from local_daemon.gates import store
from local_daemon.gates.records import Gate
from local_daemon.protocol import errors, messages, states
from local_daemon.storage import pages
from local_daemon.storage.database import Connection


def gate_get(conn: Connection, gate_id: str, *, repository_id: str) -> Gate:
    """The gate. Raises NotFound, also for a gate of another repository."""
    gate = store.gate_by_id(conn, gate_id)
    if gate is None or gate.repository_id != repository_id:
        raise errors.NotFound("No such gate in this repository.", gate_id=gate_id)
    return gate


def gate_next_expiry(conn: Connection) -> datetime | None:
    """When the next open gate expires; None while none is open."""
    return store.next_expiry(conn)


def is_approved(conn: Connection, step_id: str, *, digest: str) -> bool:
    """Whether exactly these changes of the step were approved."""
    return store.is_approved(conn, step_id, digest=digest)


def gates_list(
    conn: Connection, repository_id: str, *, state: states.GateState | None, limit: int, cursor: str | None
) -> tuple[tuple[Gate, ...], str | None]:
    """A page of gates, newest first, and the cursor of the next page. Raises InvalidRequest for a cursor not ours."""
    before = pages.before_position(cursor)
    gates = store.gates_page(conn, repository_id, state=state, before=before, limit=limit + 1)
    return pages.page_cut(gates, limit=limit)


def gate_view(gate: Gate) -> messages.GateView:
    """The gate as everybody sees it."""
    return messages.GateView(
        gate_id=gate.gate_id,
        run_id=gate.run_id,
        step_id=gate.step_id,
        attempt_id=gate.attempt_id,
        kind=gate.kind,
        state=gate.state,
        reason=gate.reason,
        question=gate.question,
        digest=gate.digest,
        opened_at=gate.opened_at,
        expires_at=gate.expires_at,
        decided_at=gate.decided_at,
        decided_by=gate.decided_by,
        comment=gate.comment,
        answer=gate.answer,
    )
