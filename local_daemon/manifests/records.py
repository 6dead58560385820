"""A manifest as it is recorded: what the run's steps don't say themselves.

Tests: tests/unit/daemon/manifests/.
"""

from dataclasses import dataclass

from local_daemon.protocol import ids
from local_daemon.protocol.manifests import OnFailure, StepOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step's place among the others, by name."""

    name: str
    step_id: ids.StepId
    depends_on: tuple[str, ...]
    builds_on: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A run that was submitted whole."""

    run_id: ids.RunId
    digest: str
    order: StepOrder
    on_failure: OnFailure
    steps: tuple[PlannedStep, ...]
