"""What an answered call counts for: content handed out, a run that began.

In the transaction that records the answer, and without a round trip of its own; for most operations nothing. Called by
`cloud.dispatch.progress`. Tests: tests/integration/cloud/limits/test_usage.py.
"""

import json
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cloud.access.principals import PrincipalKind
from cloud.limits import run_starts, usage
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from relay.calls import Answer


class Answered(Protocol):
    """A call as its record remembers it."""

    id: str
    organization_id: UUID
    operation: str
    principal_kind: str
    principal_id: str


def call_answered(call: Answered, answer: Answer, *, now: datetime) -> None:
    """Count what the machine answered."""
    if call.operation in run_starts.OPERATIONS:
        run_starts.run_answered(call_id=call.id, body=None if answer.problem is not None else answer.body)
    elif REMOTE_OPERATIONS[call.operation].streams and answer.problem is None:
        usage.artifact_bytes_add(
            organization_id=call.organization_id,
            token_id=UUID(call.principal_id) if call.principal_kind == PrincipalKind.TOKEN else None,
            size_bytes=_size_bytes(answer),
            now=now,
        )


def _size_bytes(answer: Answer) -> int:
    """What is announced of a stream; of content that came whole, its length as JSON."""
    if answer.content is None:
        return len(json.dumps(answer.body))
    head = answer.content.head
    announced = head.size_bytes if head.size_bytes is not None else (head.total_bytes or 0) - head.offset
    return max(0, announced)
