"""A validation as it is recorded.

Tests: tests/unit/daemon/validations/.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One check of one attempt, and its verdict."""

    validation_id: ids.ValidationId
    step_id: ids.StepId
    attempt_id: ids.AttemptId
    run_id: ids.RunId
    repository_id: ids.RepositoryId
    name: str
    command: str
    verdict: states.ValidationVerdict
    exit_code: int | None
    duration_ms: int
    stdout_artifact_id: ids.ArtifactId | None
    stderr_artifact_id: ids.ArtifactId | None
    created_at: datetime
    position: int = 0  # the lists' order; the record's to give
