"""Runs that begin by themselves: made, changed, paused, resumed, begun at once, deleted.

Tests: tests/integration/cloud/rest/test_run_schedules.py.
"""

from uuid import UUID

from cloud.operations import schedules
from cloud.operations.schedules import FiringView
from cloud.rest.collection import Collection
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.run_schedules.messages import (
    FiringList,
    FiringQuery,
    RunScheduleCreate,
    RunSchedulePage,
    RunScheduleQuery,
    RunScheduleUpdate,
    RunScheduleView,
    plain,
)
from cloud.schedules import run_schedules, selectors
from cloud.schedules.models import RunSchedule
from local_daemon.protocol import limits

_ONE = "/run-schedules/{run_schedule_id}"


@endpoint(
    "POST",
    "/run-schedules",
    name="run_schedules.create",
    title="Schedule a run",
    service=run_schedules.run_schedule_create,
    request=RunScheduleCreate,
    response=RunScheduleView,
    status=201,
    body_bytes=limits.BODY_BYTES,
)
def run_schedules_create(asked: Asked, body: RunScheduleCreate) -> RunScheduleView:
    """A run that begins by itself, in the caller's name and with the rights that they have then."""
    row = run_schedules.run_schedule_create(
        grant=asked.grant(project_id=body.project_id),
        name=body.name,
        objective=body.objective,
        tasks=plain(body.tasks),
        manifest=plain(body.manifest),
        starts_at=body.starts_at,
        cron=body.cron,
        time_zone=body.time_zone or "",
        when_away=body.when_away,
        location=body.location,
    )
    return _view(row)


@endpoint(
    "PATCH",
    _ONE,
    name="run_schedules.update",
    title="Change a scheduled run",
    service=run_schedules.run_schedule_update,
    request=RunScheduleUpdate,
    response=RunScheduleView,
    if_match=IfMatch.REQUIRED,
    body_bytes=limits.BODY_BYTES,
)
def run_schedules_update(asked: Asked, run_schedule_id: UUID, body: RunScheduleUpdate) -> RunScheduleView:
    """Other work, or another time; from then on it begins in the caller's name."""
    return _view(
        run_schedules.run_schedule_update(
            grant=asked.grant(),
            schedule_id=run_schedule_id,
            version=asked.expected_version,
            changes=body.changes(),
        )
    )


@endpoint(
    "POST",
    f"{_ONE}/fire",
    name="run_schedules.fire",
    title="Begin a scheduled run now",
    service=run_schedules.run_schedule_fire,
    response=FiringView,
)
def run_schedules_fire(asked: Asked, run_schedule_id: UUID) -> FiringView:
    """A worker begins it within the minute, in the caller's name and against their limits, whatever its times; asked
    again before it began: the same firing."""
    return schedules.firing_view(run_schedules.run_schedule_fire(grant=asked.grant(), schedule_id=run_schedule_id))


@endpoint(
    "GET",
    f"{_ONE}/firings",
    name="run_schedules.firings",
    title="What came of a schedule",
    service=selectors.run_firing_list,
    query=FiringQuery,
    response=FiringList,
)
def run_schedules_firings(asked: Asked, run_schedule_id: UUID, query: FiringQuery) -> FiringList:
    """What came of its last times, newest first."""
    rows = selectors.run_firing_list(grant=asked.grant(), schedule_id=run_schedule_id, limit=query.limit)
    return FiringList(items=tuple(map(schedules.firing_view, rows)))


def _view(row: RunSchedule) -> RunScheduleView:
    return RunScheduleView(
        run_schedule_id=row.id,
        project_id=row.project_id,
        tasks=tuple(row.tasks),
        manifest=row.manifest,
        location=row.location,
        cron=row.cron,
        created_at=row.created_at,
        **schedules.schedule_facts(row),
    )


_all = Collection(
    name="run_schedules",
    path="/run-schedules",
    id_name="run_schedule_id",
    service_id="schedule_id",
    view=_view,
    response=RunScheduleView,
)

ENDPOINTS = (
    _all.list(
        "Scheduled runs",
        "The schedules within reach that were not deleted, oldest first.",
        selectors.run_schedule_page,
        query=RunScheduleQuery,
        page=RunSchedulePage,
    ),
    run_schedules_create,
    _all.get("A scheduled run", "One schedule.", selectors.run_schedule_get),
    run_schedules_update,
    _all.delete(
        "Delete a scheduled run",
        "It begins never again; what it did stays on record.",
        run_schedules.run_schedule_delete,
    ),
    _all.act(
        "pause", "Pause a scheduled run", "It begins no more until it is resumed.", run_schedules.run_schedule_pause
    ),
    _all.act(
        "resume",
        "Resume a scheduled run",
        "It begins again, at its next time from now on; one that paused by itself, in the caller's name.",
        run_schedules.run_schedule_resume,
    ),
    run_schedules_fire,
    run_schedules_firings,
)
