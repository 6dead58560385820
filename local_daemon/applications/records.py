"""An application as it is recorded: a step's result on its way onto a branch.

Tests: tests/integration/daemon/test_applying.py.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One result brought onto one branch, or why it was not."""

    position: int
    application_id: ids.ApplicationId
    step_id: ids.StepId
    attempt_id: ids.AttemptId
    run_id: ids.RunId
    repository_id: ids.RepositoryId
    mode: str
    branch: str
    digest: str  # of the patch that was agreed to
    before_commit: str | None
    after_commit: str | None
    state: states.ApplicationState
    reason: str
    conflicts: tuple[str, ...]
    requested_by: str
    comment: str
    call_id: ids.CallId | None
    requested_at: datetime
    ended_at: datetime | None
