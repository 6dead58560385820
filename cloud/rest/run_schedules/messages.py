"""Runs that begin by themselves, on the wire. Tests: tests/integration/cloud/rest/test_run_schedules.py."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from cloud.operations.schedules import FiringView
from cloud.schedules import run_schedules
from cloud.schedules.models import RunScheduleStatus, StoppedBecause, WhenAway
from local_daemon.protocol import limits, manifests, messages, specs, wire

_Cron = Annotated[str, StringConstraints(max_length=200)]
_TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_Location = Annotated[str, StringConstraints(max_length=64)]
_Tasks = Annotated[tuple[specs.TaskSpec, ...], Field(min_length=1, max_length=run_schedules.TASKS_MAX)]


def plain(said: Any) -> Any:
    """Tasks and manifests as they were given, for who keeps them; anything else as it is."""
    if isinstance(said, tuple):
        return [plain(one) for one in said]
    return said.model_dump(mode="json", exclude_unset=True) if isinstance(said, BaseModel) else said


class RunScheduleQuery(messages.PageQuery):
    """Schedules, oldest first; of one project, if it is named."""

    project_id: UUID | None = None


class RunScheduleCreate(wire.WireModel):
    """A run that begins at `starts_at`, or at every time of `cron` (five fields, in `time_zone`, or by the
    organization's clocks): one of the two. What it does are an objective and tasks, which need nothing of each other,
    or a manifest, which says all of it. `location` names one of the project's places where it has several."""

    project_id: UUID
    name: wire.Line
    objective: wire.Goal = ""
    tasks: _Tasks = ()
    manifest: manifests.RunManifest | None = None
    starts_at: wire.Instant | None = None
    cron: _Cron = ""
    time_zone: _TimeZone | None = None
    when_away: WhenAway = WhenAway.SKIP
    location: _Location = ""


class RunScheduleUpdate(wire.WireModel):
    """What to change; what is left out stays. To go from one time to a cron expression, or back, say both."""

    name: wire.Line = ""
    objective: wire.Goal = ""
    tasks: _Tasks = ()
    manifest: manifests.RunManifest | None = None
    starts_at: wire.Instant | None = None
    cron: _Cron = ""
    time_zone: _TimeZone = "UTC"
    when_away: WhenAway = WhenAway.SKIP
    location: _Location = ""

    def changes(self) -> dict[str, Any]:
        """What was said, as the service takes it."""
        return {name: plain(getattr(self, name)) for name in self.model_fields_set}


class RunScheduleView(wire.ViewModel):
    """A run that begins by itself, in `made_by`'s name and with the rights that they have then. `stopped_because`: why
    it paused by itself; whoever resumes it takes it over."""

    run_schedule_id: UUID
    project_id: UUID
    name: str
    objective: str
    tasks: tuple[dict[str, Any], ...]
    manifest: dict[str, Any] | None
    location: str
    starts_at: wire.Instant | None
    cron: str
    time_zone: str
    when_away: WhenAway
    status: RunScheduleStatus
    stopped_because: StoppedBecause | None
    next_due_at: wire.Instant | None
    made_by: str
    version: int
    created_at: wire.Instant


class RunSchedulePage(wire.ViewModel):
    """Schedules within reach."""

    items: tuple[RunScheduleView, ...]
    next_cursor: str | None


class FiringQuery(wire.WireModel):
    """How many of the last times."""

    limit: wire.QueryInteger = Field(default=limits.PAGE_ITEMS_DEFAULT, ge=1, le=limits.PAGE_ITEMS_MAX)


class FiringList(wire.ViewModel):
    """A schedule's last times, newest first."""

    items: tuple[FiringView, ...]
