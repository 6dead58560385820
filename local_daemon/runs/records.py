"""A run as it is recorded.

Tests: tests/unit/daemon/runs/.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids, states
from local_daemon.protocol.policies import Budget
from local_daemon.runs.lifecycle import FailureRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One objective; holds steps."""

    position: int  # the order of creation
    run_id: ids.RunId
    repository_id: ids.RepositoryId
    name: str | None
    title: str | None
    objective: str
    state: states.RunState
    is_closed: bool
    failure_rule: FailureRule
    budget: Budget  # of all its attempts together
    cancel_requested_at: datetime | None
    cancel_reason: str
    created_at: datetime
    updated_at: datetime

    @property
    def is_cancel_requested(self) -> bool:
        """Whether somebody asked it to end."""
        return self.cancel_requested_at is not None
