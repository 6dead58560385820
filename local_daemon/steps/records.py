"""A step as it is recorded. Its TaskSpec is kept beside it, because a task may be large and is read rarely.

Tests: tests/unit/daemon/steps/.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids, specs, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One unit of work."""

    position: int  # the order of submission; the queue's and the lists' order
    step_id: ids.StepId
    run_id: ids.RunId
    repository_id: ids.RepositoryId
    name: str | None
    title: str
    executor: str
    task_digest: str
    state: states.StepState
    resume_to: states.StepState | None  # where a favourable decision leads; only while waiting
    gate_id: ids.GateId | None  # what it waits on; only while waiting
    is_before_gate_passed: bool  # the gate before work is asked once per step, not per attempt
    answer: str | None  # to the executor's question, for the next attempt
    failure: specs.Failure | None
    warnings: tuple[str, ...]
    summary: str
    attempts: int
    patch_sha256: str | None
    evidence_digest: str | None
    retry_at: datetime | None  # only in retry_wait
    cancel_requested_at: datetime | None
    cancel_reason: str
    call_id: ids.CallId | None  # the call that submitted it, for logs
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    unmet: int = 0  # how many of the steps it needs have not completed; kept by the record itself
    base_step_id: ids.StepId | None = None  # whose changes it begins with
    skipped_for: ids.StepId | None = None  # whose end kept it from ever beginning; only while cancelled for that
    fallback: int | None = None  # which of its rule's other executors `executor` is
    submitted_by: str | None = None  # who asked, as the door named them; None for a step of before, or nobody known
    cancelled_by: str | None = None
    retried_by: str | None = None
    resolved_by: str | None = None

    @property
    def is_cancel_requested(self) -> bool:
        """Whether somebody asked it to end."""
        return self.cancel_requested_at is not None
