"""Runs that begin by themselves, for who asks the cloud: made, changed, paused, resumed, begun at once, deleted.

Tests: tests/integration/cloud/operations/test_schedules.py.
"""

from functools import partial
from typing import Any
from uuid import UUID

from pydantic import Field

from cloud.access.principals import Grant
from cloud.operations import paging
from cloud.operations.operation import CloudOperation
from cloud.schedules import run_schedules, selectors
from cloud.schedules.models import FiringState, RunFiring, RunSchedule, RunScheduleStatus, StoppedBecause, WhenAway
from local_daemon.protocol import messages, specs, wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope

_FIRINGS_SHOWN = 20


class ScheduleQuery(messages.PageQuery):
    """Schedules, oldest first; of every project, or of one."""

    project_id: UUID | None = None


class ScheduleName(wire.WireModel):
    """Names a schedule."""

    schedule_id: UUID


class ScheduleCreate(wire.WireModel):
    """Makes a schedule: either `starts_at`, once, or `cron` (five fields, in `time_zone`); either an objective with
    tasks, which need nothing of each other, or a manifest."""

    project_id: UUID
    name: wire.Line
    objective: wire.Goal | None = None
    tasks: tuple[specs.TaskSpec, ...] = Field(default=(), max_length=run_schedules.TASKS_MAX)
    # Not spelled out: its schema, long as it is, stands with manifests_submit already.
    manifest: wire.JsonObject | None = Field(default=None, description="a run as manifests_submit takes it")
    starts_at: wire.Instant | None = None
    cron: str = Field(default="", max_length=200)
    time_zone: str = Field(default="", max_length=64, description="an IANA name; empty: the organization's")
    when_away: WhenAway = WhenAway.SKIP
    location: str = Field(default="", max_length=64, description="which place of the project; empty: its only one")


class ScheduleChange(wire.WireModel):
    """What to change of a schedule; what is left out stays. To go from one time to a cron expression or back, say
    both."""

    schedule_id: UUID
    version: wire.Integer | None = Field(default=None, description="as you read it: refused if it changed since")
    name: wire.Line = ""
    objective: wire.Goal = ""
    tasks: tuple[wire.JsonObject, ...] = Field(
        default=(), max_length=run_schedules.TASKS_MAX, description="as schedules_create takes them"
    )
    manifest: wire.JsonObject | None = Field(default=None, description="a run as manifests_submit takes it")
    starts_at: wire.Instant | None = None
    cron: str = Field(default="", max_length=200)
    time_zone: str = Field(default="", min_length=1, max_length=64)
    when_away: WhenAway = WhenAway.SKIP
    location: str = Field(default="", max_length=64)

    def changes(self) -> dict[str, Any]:
        """What was said, as the service takes it."""
        said = self.model_fields_set - {"schedule_id", "version"}
        given = {name: getattr(self, name) for name in said}
        return {**given, "tasks": list(self.tasks)} if "tasks" in said else given


class FiringView(wire.ViewModel):
    """What came of one time. `asked_by`: who had it begin beside its times, in their own name. `run_id` is there once
    the run is; `code` is the error's that it ended with, or waits because of; `precondition_failed`: the schedule was
    changed between the asking and the beginning."""

    due_at: wire.Instant
    state: FiringState
    asked_by: str | None
    tries: int
    run_id: str | None
    code: str | None
    ended_at: wire.Instant | None


class ScheduleView(wire.ViewModel):
    """A run that begins by itself. `stopped_because`: why it paused by itself; who resumes it takes it over."""

    schedule_id: str
    project_id: str
    project: str
    name: str
    objective: str
    steps: int
    starts_at: wire.Instant | None
    cron: str | None
    time_zone: str
    when_away: WhenAway
    location: str | None
    status: RunScheduleStatus
    stopped_because: StoppedBecause | None
    next_due_at: wire.Instant | None
    made_by: str
    version: int


class SchedulePage(wire.ViewModel):
    """Schedules, oldest first."""

    items: tuple[ScheduleView, ...]
    next_cursor: str | None = None


class ScheduleStory(wire.ViewModel):
    """A schedule and what came of its last times, newest first."""

    schedule: ScheduleView
    firings: tuple[FiringView, ...]


def schedules_list(grant: Grant, asked: ScheduleQuery) -> SchedulePage:
    """Schedules within reach."""
    page = selectors.run_schedule_page(
        grant=grant, project_id=asked.project_id, limit=asked.limit, after=paging.uuid_of(asked.cursor)
    )
    return SchedulePage(
        items=tuple(map(_view, page.items)), next_cursor=str(page.next_after) if page.next_after else None
    )


def schedules_get(grant: Grant, asked: ScheduleName) -> ScheduleStory:
    """One schedule and what came of it."""
    row = selectors.run_schedule_get(grant=grant, schedule_id=asked.schedule_id)
    firings = selectors.run_firing_list(grant=grant, schedule_id=row.id, limit=_FIRINGS_SHOWN)
    return ScheduleStory(schedule=_view(row), firings=tuple(map(firing_view, firings)))


def schedules_create(grant: Grant, asked: ScheduleCreate) -> ScheduleView:
    """The new schedule."""
    row = run_schedules.run_schedule_create(
        grant=grant,
        name=asked.name,
        objective=asked.objective or "",
        manifest=asked.manifest,
        tasks=[task.model_dump(mode="json", exclude_unset=True) for task in asked.tasks],
        starts_at=asked.starts_at,
        cron=asked.cron,
        time_zone=asked.time_zone,
        when_away=asked.when_away,
        location=asked.location,
    )
    return _view(row)


def schedules_update(grant: Grant, asked: ScheduleChange) -> ScheduleView:
    """The schedule as it is from now on."""
    row = run_schedules.run_schedule_update(
        grant=grant, schedule_id=asked.schedule_id, version=asked.version, changes=asked.changes()
    )
    return _view(row)


def schedules_pause(grant: Grant, asked: ScheduleName) -> ScheduleView:
    """The schedule, at rest."""
    return _view(run_schedules.run_schedule_pause(grant=grant, schedule_id=asked.schedule_id))


def schedules_resume(grant: Grant, asked: ScheduleName) -> ScheduleView:
    """The schedule, firing again."""
    return _view(run_schedules.run_schedule_resume(grant=grant, schedule_id=asked.schedule_id))


def schedules_run_now(grant: Grant, asked: ScheduleName) -> FiringView:
    """The firing that a worker takes up."""
    return firing_view(run_schedules.run_schedule_fire(grant=grant, schedule_id=asked.schedule_id))


def schedules_delete(grant: Grant, asked: ScheduleName) -> ScheduleView:
    """The schedule, ended."""
    return _view(run_schedules.run_schedule_delete(grant=grant, schedule_id=asked.schedule_id))


def _view(row: RunSchedule) -> ScheduleView:
    return ScheduleView(
        schedule_id=str(row.id),
        project_id=str(row.project_id),
        project=row.project.name,
        steps=len(row.manifest["steps"] if row.manifest else row.tasks),
        cron=row.cron or None,
        location=row.location or None,
        **schedule_facts(row),
    )


def schedule_facts(row: RunSchedule) -> dict[str, Any]:
    """What every surface tells of a schedule in the same words."""
    return {
        "name": row.name,
        "objective": row.objective,
        "starts_at": row.starts_at,
        "time_zone": row.time_zone,
        "when_away": WhenAway(row.when_away),
        "status": RunScheduleStatus(row.status),
        "stopped_because": StoppedBecause(row.stopped_because) if row.stopped_because else None,
        "next_due_at": row.next_due_at,
        "made_by": row.made_by,
        "version": row.version,
    }


def firing_view(row: RunFiring) -> FiringView:
    """A firing as every surface tells it."""
    return FiringView(
        due_at=row.due_at,
        state=FiringState(row.state),
        asked_by=row.asked_by or None,
        tries=row.tries,
        run_id=row.run_id or None,
        code=row.code or None,
        ended_at=row.ended_at,
    )


_change = partial(Operation, method="POST", scope=Scope.RUNS_WRITE, mutates=True)

OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="schedules.list",
            title="Schedules",
            description="Runs that begin by themselves, of every project that this credential reaches.",
            method="GET",
            path="/schedules",
            scope=Scope.RUNS_READ,
            query=ScheduleQuery,
            response=SchedulePage,
        ),
        answer=schedules_list,
    ),
    CloudOperation(
        operation=Operation(
            name="schedules.get",
            title="A schedule",
            description="One schedule, and what came of its last times.",
            method="GET",
            path="/schedules/{schedule_id}",
            scope=Scope.RUNS_READ,
            query=ScheduleName,
            response=ScheduleStory,
        ),
        answer=schedules_get,
    ),
    CloudOperation(
        operation=_change(
            name="schedules.create",
            title="Schedule a run",
            description="Has a run begin by itself, at one time or at every time of a cron expression, in the name of "
            "who makes it and never beyond their rights. Needs steps:write too.",
            path="/schedules",
            request=ScheduleCreate,
            response=ScheduleView,
            success_status=201,
        ),
        answer=schedules_create,
    ),
    CloudOperation(
        operation=_change(
            name="schedules.update",
            title="Change a schedule",
            description="Another time, or other work; from then on it fires in the name of who changes it. Needs "
            "steps:write too.",
            path="/schedules/{schedule_id}/update",
            request=ScheduleChange,
            response=ScheduleView,
        ),
        answer=schedules_update,
    ),
    CloudOperation(
        operation=_change(
            name="schedules.pause",
            title="Pause a schedule",
            description="It fires no more until it is resumed.",
            path="/schedules/{schedule_id}/pause",
            request=ScheduleName,
            response=ScheduleView,
        ),
        answer=schedules_pause,
        is_repeatable=True,
    ),
    CloudOperation(
        operation=_change(
            name="schedules.resume",
            title="Resume a schedule",
            description="It fires again, at its next time from now on; one that paused by itself, in your name.",
            path="/schedules/{schedule_id}/resume",
            request=ScheduleName,
            response=ScheduleView,
        ),
        answer=schedules_resume,
        is_repeatable=True,
    ),
    CloudOperation(
        operation=_change(
            name="schedules.run_now",
            title="Run a schedule now",
            description="A worker begins its run within the minute, in your name and against your limits, whatever its "
            "times; they stay as they are. If it is changed before that, nothing begins: ask again.",
            path="/schedules/{schedule_id}/run",
            request=ScheduleName,
            response=FiringView,
            success_status=202,
        ),
        answer=schedules_run_now,
    ),
    CloudOperation(
        operation=_change(
            name="schedules.delete",
            title="Delete a schedule",
            description="It never fires again; what it did stays on record.",
            path="/schedules/{schedule_id}/delete",
            request=ScheduleName,
            response=ScheduleView,
            is_destructive=True,
        ),
        answer=schedules_delete,
    ),
)
