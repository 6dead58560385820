"""The action log on the wire: calls of machines, without what was sent and answered.

Tests: tests/integration/cloud/rest/test_runs.py.
"""

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from local_daemon.protocol import messages, states, wire


class CallQuery(messages.PageQuery):
    """Calls, newest first: in one project, of one operation or state, or by one caller."""

    project_id: UUID | None = None
    operation: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,31}\.[a-z_]{1,31}$")] | None = None
    state: states.CallState | None = None
    actor_id: Annotated[str, StringConstraints(max_length=64)] | None = None


class CallView(wire.ViewModel):
    """One call. `answer_code` is the error's, null for a success or none yet; `status` what its caller was answered."""

    call_id: str
    operation: str
    state: states.CallState
    project_id: UUID
    location_id: UUID
    connector_id: UUID
    actor_kind: str
    actor_id: str
    actor: str
    client_address: str | None
    accepted_at: wire.Instant
    sent_at: wire.Instant | None
    ended_at: wire.Instant | None
    deadline_at: wire.Instant
    status: int | None
    answer_code: str | None


class CallPage(wire.ViewModel):
    """Calls within reach."""

    items: tuple[CallView, ...]
    next_cursor: str | None
