"""Making and changing runs that begin by themselves. (Firing them: `firing.py`.)

Each writes its audit event in the same transaction. Called by the admin, REST and commands, in the organization's open
scope. Tests: tests/integration/cloud/schedules/test_run_schedules.py.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Q
from pydantic import BaseModel, ValidationError

from cloud.access.principals import Grant, Principal, PrincipalKind
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.schedules import cron as crons
from cloud.schedules.models import FiringState, RunFiring, RunSchedule, RunScheduleStatus, StoppedBecause, WhenAway
from cloud.tenancy import clocks, grants
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors, faults, limits, manifests, origins, specs, wire
from local_daemon.protocol.scopes import Scope

M = TypeVar("M", bound=BaseModel)

TASKS_MAX = 20
MANIFEST_BYTES = 256 * limits.KIB
_AGAIN = timedelta(minutes=1)
_CHANGEABLE = frozenset(
    {"name", "objective", "tasks", "manifest", "location", "starts_at", "cron", "time_zone", "when_away"}
)


@grants.needs(Scope.RUNS_WRITE)
def run_schedule_create(
    *,
    grant: Grant,
    name: str,
    objective: str = "",
    tasks: Sequence[Mapping[str, Any]] = (),
    manifest: Mapping[str, Any] | None = None,
    starts_at: datetime | None = None,
    cron: str = "",
    time_zone: str = "",
    when_away: WhenAway = WhenAway.SKIP,
    location: str = "",
) -> RunSchedule:
    """A schedule in the grant's project, in its principal's name. Either `starts_at` or `cron`, by the clocks of
    `time_zone` (empty: of the organization as it is now); either an objective with tasks, which need nothing of each
    other, or a RunManifest, which says all of it.

    Raises InvalidRequest for what cannot be fired, Forbidden for who cannot submit steps or is no member."""
    who = grant.principal
    if grant.project_id is None:
        raise errors.InvalidRequest("Name the project.")
    _check_maker(grant)
    row = RunSchedule(
        organization_id=grant.organization_id,
        project_id=grant.project_id,
        name=name,
        objective=objective,
        tasks=[dict(task) for task in tasks],
        manifest=None if manifest is None else dict(manifest),
        starts_at=starts_at,
        cron=cron,
        time_zone=time_zone or clocks.zone_of(grant.organization_id),
        when_away=when_away,
        location=location,
    )
    _own(row, who)
    _check(row)
    with recorded("run_schedule_change"):
        row.save(force_insert=True)
        _tell(grant.principal, row, EventType.RUN_SCHEDULE_CREATED)
    return row


@grants.needs(Scope.RUNS_WRITE)
def run_schedule_update(
    *, grant: Grant, schedule_id: UUID, version: int | None, changes: Mapping[str, Any]
) -> RunSchedule:
    """Change some of its facts; from then on it fires in the changer's name. `version` None: whatever it is now.

    Raises NotFound, PreconditionFailed for another version, InvalidRequest."""
    if unknown := set(changes) - _CHANGEABLE:
        raise errors.InvalidRequest(f"These cannot be changed: {', '.join(sorted(unknown))}.")
    _check_maker(grant)
    with recorded("run_schedule_change"):
        row = _locked(grant, schedule_id)
        if version not in (None, row.version):
            raise errors.PreconditionFailed("Somebody changed it meanwhile; read it again.", version=row.version)
        if changes.get("manifest") is not None:
            row.tasks = []
        elif changes.get("tasks"):
            row.manifest = None
        for name, value in changes.items():
            setattr(row, name, value)
        _own(row, grant.principal)
        if row.status == RunScheduleStatus.DONE:
            row.status = RunScheduleStatus.ACTIVE
        _check(row)
        row.version += 1
        row.save()
        _tell(grant.principal, row, EventType.RUN_SCHEDULE_CHANGED)
    return row


@grants.needs(Scope.RUNS_WRITE)
def run_schedule_pause(*, grant: Grant, schedule_id: UUID, expected_version: int | None = None) -> RunSchedule:
    """It fires no more until it is resumed. Raises NotFound, PreconditionFailed."""
    return _status_set(grant, schedule_id, expected_version, RunScheduleStatus.PAUSED, EventType.RUN_SCHEDULE_PAUSED)


@grants.needs(Scope.RUNS_WRITE)
def run_schedule_resume(*, grant: Grant, schedule_id: UUID, expected_version: int | None = None) -> RunSchedule:
    """It fires again, at its next time from now on; one that stopped by itself, in the name of who resumes it. Raises
    NotFound, PreconditionFailed, InvalidRequest when its time has passed, Forbidden for who cannot submit steps or take
    it over."""
    return _status_set(grant, schedule_id, expected_version, RunScheduleStatus.ACTIVE, EventType.RUN_SCHEDULE_RESUMED)


@grants.needs(Scope.RUNS_WRITE)
def run_schedule_delete(*, grant: Grant, schedule_id: UUID, expected_version: int | None = None) -> RunSchedule:
    """It fires never again; what it did stays on record. Raises NotFound, PreconditionFailed."""
    return _status_set(grant, schedule_id, expected_version, RunScheduleStatus.DELETED, EventType.RUN_SCHEDULE_DELETED)


@grants.needs(Scope.RUNS_WRITE)
def run_schedule_fire(*, grant: Grant, schedule_id: UUID) -> RunFiring:
    """A worker begins it within the minute, whatever its times; they stay. It begins as it is now, in the name of who
    asks, with their rights and against their limits. Asked within a minute of a firing that waits still, for the same:
    that one, in whoever's name it is. Raises NotFound, InvalidTransition while it is paused, Forbidden for who cannot
    submit steps or is no member (but for the installation's operators, whose it is then: the installation's)."""
    now = datetime.now(UTC)
    with recorded("run_schedule_change"):
        row = _locked(grant, schedule_id)
        _check_asker(grant)
        if row.status == RunScheduleStatus.PAUSED:
            raise errors.InvalidTransition("It is paused; resume it first.")
        waiting = RunFiring.objects.filter(schedule=row, state=FiringState.WAITING, due_at__gt=now - _AGAIN)
        # One that was asked for before a change begins nothing any more.
        waiting = waiting.filter(Q(asked_version=None) | Q(asked_version=row.version))
        firing = waiting.order_by("due_at").last()
        if firing is None:
            firing = RunFiring.objects.create(
                schedule=row,
                due_at=now,
                organization_id=row.organization_id,
                asked_by=grant.principal.label[: limits.TITLE_CHARACTERS] or grant.principal.kind.value,
                asked_membership_id=grant.principal.membership_id,
                asked_token_id=grant.principal.counted_token_id,
                asked_version=row.version,
            )
            _tell(grant.principal, row, EventType.RUN_SCHEDULE_ASKED)
        else:
            _tell(grant.principal, row, EventType.RUN_SCHEDULE_ASKED, joins=firing.asked_by or row.made_by)
    return firing


def run_schedule_stop(schedule: RunSchedule, *, because: StoppedBecause, principal: Principal) -> None:
    """It stops by itself and says why; nothing where somebody changed it meanwhile. In the caller's transaction."""
    row = RunSchedule.objects.select_for_update().get(id=schedule.id)
    if row.version != schedule.version or row.stopped_because:
        return
    row.stopped_because, row.version = because, row.version + 1
    if row.status == RunScheduleStatus.ACTIVE:
        row.status, row.next_due_at = RunScheduleStatus.PAUSED, None
    row.save()
    _tell(principal, row, EventType.RUN_SCHEDULE_PAUSED, because=because.value)


def next_due(row: RunSchedule, *, after: datetime) -> datetime | None:
    """When it is due next after a moment; None: never again."""
    if row.cron:
        return crons.cron_parse(row.cron).next_after(after, ZoneInfo(row.time_zone))
    return row.starts_at if row.starts_at is not None and row.starts_at > after else None


def next_dues(*, cron: str, time_zone: str, after: datetime, count: int = 5) -> list[datetime]:
    """The next times of a cron expression, for who writes one: in UTC, fewer where it ends. Raises InvalidRequest."""
    found: list[datetime] = []
    try:
        parsed, zone = crons.cron_parse(cron), ZoneInfo(time_zone)
        while len(found) < count:
            found.append(parsed.next_after(found[-1] if found else after, zone))
    except crons.InvalidCron as error:
        if not found:
            raise errors.InvalidRequest(str(error)) from None
    except (ZoneInfoNotFoundError, ValueError):
        raise errors.InvalidRequest("There is no such time zone.") from None
    return found


def manifest_of(row: RunSchedule, *, name: str) -> dict[str, Any]:
    """What is submitted at one of its times: its manifest, or its tasks as one, by a name that only that time has."""
    named = {"title": row.name, "name": name}
    if row.manifest is not None:
        return {**named, **row.manifest}
    steps = [{"name": f"task-{number}", "task": task} for number, task in enumerate(row.tasks, start=1)]
    # Each of the tasks is wanted for itself: one that fails keeps no other from beginning.
    return {**named, "objective": row.objective, "on_failure": manifests.OnFailure.CONTINUE, "steps": steps}


def _status_set(
    grant: Grant,
    schedule_id: UUID,
    expected_version: int | None,
    status: RunScheduleStatus,
    event_type: EventType,
) -> RunSchedule:
    if status is RunScheduleStatus.ACTIVE:
        _check_submits(grant)
    with recorded("run_schedule_change"):
        row = _locked(grant, schedule_id)
        if expected_version not in (None, row.version):
            raise errors.PreconditionFailed(version=row.version)
        if row.status != status:
            row.status, row.version = status, row.version + 1
            row.next_due_at = None
            if status is RunScheduleStatus.ACTIVE:
                if row.stopped_because:
                    _check_maker(grant)
                    _own(row, grant.principal)
                _check(row)
            row.save()
            _tell(grant.principal, row, event_type)
    return row


def _check_submits(grant: Grant) -> None:
    """What a schedule begins is steps: nobody has them begin by it who could not submit them."""
    if Scope.STEPS_WRITE not in grant.principal.scopes:
        raise errors.Forbidden(f"This credential lacks the scope {Scope.STEPS_WRITE}.", scope=Scope.STEPS_WRITE.value)


def _check_maker(grant: Grant) -> None:
    """In whose name it fires: somebody who may submit steps, and who can be looked up when it does."""
    _check_submits(grant)
    who = grant.principal
    if who.membership_id is None and who.kind != PrincipalKind.SYSTEM:
        raise errors.Forbidden("A schedule fires in a member's name; this credential is nobody's.")


def _check_asker(grant: Grant) -> None:
    """As of its maker; and an operator of the installation may ask, who is no member anywhere."""
    if grant.principal.kind is PrincipalKind.USER:
        _check_submits(grant)
    else:
        _check_maker(grant)


def _own(row: RunSchedule, who: Principal) -> None:
    """From now on it is theirs: it fires with their rights, and counts against their token's limits."""
    row.membership_id, row.token_id = who.membership_id, who.counted_token_id
    row.made_by, row.owned_since, row.stopped_because = who.label[: limits.TITLE_CHARACTERS], datetime.now(UTC), ""


def _locked(grant: Grant, schedule_id: UUID) -> RunSchedule:
    rows = RunSchedule.objects.select_for_update().filter(organization_id=grant.organization_id, id=schedule_id)
    row = rows.exclude(status=RunScheduleStatus.DELETED).select_related("project").first()
    who = grant.principal
    if row is None or not grants.reaches_project(who, project_id=row.project_id, workspace_id=row.project.workspace_id):
        raise errors.NotFound
    return row


def _check(row: RunSchedule) -> None:
    """Whether it can be fired; sets when that is due next."""
    if not row.name.strip() or len(row.name) > limits.TITLE_CHARACTERS:
        raise errors.InvalidRequest(f"A name has 1 to {limits.TITLE_CHARACTERS} characters.")
    if row.when_away not in WhenAway.values:
        raise errors.InvalidRequest(f"When its machine is away: {' or '.join(WhenAway.values)}.")
    if row.manifest is None:
        _check_tasks(row)
    else:
        _check_manifest(row)
    # As it is submitted, with the name and title that only then are there.
    _validated(manifests.RunManifest, manifest_of(row, name="schedule"), "This makes no run.")
    row.next_due_at = _checked_due(row)


def _check_tasks(row: RunSchedule) -> None:
    if not 0 < len(row.objective.encode()) <= limits.GOAL_BYTES:
        raise errors.InvalidRequest(f"An objective has 1 to {limits.GOAL_BYTES} bytes.")
    if not 0 < len(row.tasks) <= TASKS_MAX:
        raise errors.InvalidRequest(f"A schedule has 1 to {TASKS_MAX} tasks.")
    tasks = [_validated(specs.TaskSpec, task, "A task does not hold.") for task in row.tasks]
    row.tasks = [task.model_dump(mode="json", exclude_unset=True) for task in tasks]


def _check_manifest(row: RunSchedule) -> None:
    if row.tasks:
        raise errors.InvalidRequest("Say what to do either as tasks or as a manifest.")
    given = {name: value for name, value in (row.manifest or {}).items() if name != "name"}
    if len(wire.canonical_json(given)) > MANIFEST_BYTES:
        raise errors.InvalidRequest(f"A schedule's manifest has {MANIFEST_BYTES} bytes at most.")
    manifest = _validated(manifests.RunManifest, given, "The manifest does not hold.")
    # Its calls would be refused, each time.
    origins.nothing_told_require(manifest)
    row.manifest = manifest.model_dump(mode="json", exclude_unset=True)
    row.objective = manifest.objective


def _validated(model: type[M], given: Any, sentence: str) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise errors.InvalidRequest(sentence, errors=faults.field_faults(error)) from None


def _checked_due(row: RunSchedule) -> datetime:
    if bool(row.cron) == (row.starts_at is not None):
        raise errors.InvalidRequest("Say either when it starts or a cron expression.")
    if row.starts_at is not None and row.starts_at.tzinfo is None:
        raise errors.InvalidRequest("Say in which time zone it starts.")
    try:
        due = next_due(row, after=datetime.now(UTC))
    except crons.InvalidCron as error:
        raise errors.InvalidRequest(str(error)) from None
    except (ZoneInfoNotFoundError, ValueError):
        raise errors.InvalidRequest("There is no such time zone.") from None
    if due is None:
        raise errors.InvalidRequest("That time has passed.")
    return due


def _tell(who: Principal, row: RunSchedule, event_type: EventType, **more: str) -> None:
    audit.event_record(
        event_type=event_type,
        principal=who,
        target_kind="run_schedule",
        target_id=row.id,
        project_id=row.project_id,
        details={
            "name": row.name,
            "cron": row.cron,
            "starts_at": row.starts_at.isoformat() if row.starts_at else None,
            "time_zone": row.time_zone,
            "tasks": len(row.tasks) if row.manifest is None else len(row.manifest["steps"]),
            "when_away": row.when_away,
            **more,
        },
    )
