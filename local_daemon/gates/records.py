"""A gate as it is recorded.

Tests: tests/unit/daemon/gates/.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A pause for a decision."""

    position: int  # the order of opening
    gate_id: ids.GateId
    run_id: ids.RunId
    step_id: ids.StepId
    repository_id: ids.RepositoryId
    attempt_id: ids.AttemptId | None
    kind: states.GateKind
    state: states.GateState
    reason: str
    question: str | None
    digest: str  # what an approval must name: the task's, the patch's or the question's
    opened_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    comment: str
    answer: str | None
