"""An attempt as it is recorded: the lease, the process, and what came of it.

Tests: tests/unit/daemon/attempts/.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from local_daemon.protocol import ids, specs, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a step by one executor in one worktree. What has a default is not known when it is leased."""

    attempt_id: ids.AttemptId
    step_id: ids.StepId
    run_id: ids.RunId
    repository_id: ids.RepositoryId
    number: int  # 1, 2, … within its step
    state: states.AttemptState
    executor: str
    epoch: int  # the life of the daemon that leased it
    leased_at: datetime
    executor_version: str | None = None
    pid: int | None = None  # of the launcher, recorded before its latch is released
    process_start: str | None = None  # as the kernel says it, to tell the process from a later one with its pid
    boot_id: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    base_commit: str | None = None
    uncommitted: specs.Uncommitted | None = None  # beside that commit; None where the base was named, or nobody knows
    head_commit: str | None = None
    ref: str | None = None
    patch_artifact_id: ids.ArtifactId | None = None
    patch_sha256: str | None = None
    changes: tuple[specs.ChangedFile, ...] = ()  # the first ones; `changes_total` counts all
    changes_total: int = 0
    summary: str = ""
    failure: specs.Failure | None = None
    usage: specs.Usage = field(default_factory=specs.Usage)
    thread_id: str | None = None
    warnings: tuple[str, ...] = ()
    question: str | None = None
    started_at: datetime | None = None
    exited_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def position(self) -> int:
        """Its place among the attempts of its step."""
        return self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of an attempt, as whoever collected it says: all the changes, and texts as long as they are."""

    base_commit: str | None
    head_commit: str | None
    ref: str | None
    patch_artifact_id: ids.ArtifactId | None
    patch_sha256: str | None
    changes: Sequence[specs.ChangedFile]
    summary: str
    failure: specs.Failure | None
    usage: specs.Usage
    thread_id: str | None
    warnings: Sequence[str] = ()
    question: str | None = None
