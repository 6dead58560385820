"""Every minute: begin the runs whose time has come, through the funnel that every call takes.

A time becomes a row first, in the transaction that moves its schedule on, so there is one firing for it whatever is
killed or repeated; its call carries a key made of the schedule and the time, so a machine does it once. Of times that
passed together the last begins a run, the others are on record as missed. It acts in its owner's name with the rights
they have now, and without them it stops; where somebody asked for it, in theirs (`owners`), and only what they asked
for. Opens the scopes it needs. Tests: tests/integration/cloud/schedules/test_run_schedules.py, test_owners.py.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.access.principals import Principal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.dispatch.services import dispatch_operation_sync
from cloud.schedules import owners, run_schedules
from cloud.schedules.models import (
    FiringState,
    RunFiring,
    RunSchedule,
    RunScheduleStatus,
    StoppedBecause,
    WhenAway,
)
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors

LATE = timedelta(hours=1)
"""A time that nobody could fire for so long has passed; also how long a busy or slow way is tried again."""
QUEUED = timedelta(hours=24)
"""How long a firing waits for its machine, where its schedule says so."""

logger = logging.getLogger(__name__)

Dispatch = Callable[..., Any]


class _Silent(Exception):
    """A machine took a whole deadline and did not answer: its organization's next firings wait for the next round."""


def run() -> int:
    """Fire what is due now; how many runs began."""
    return runs_fire(now=datetime.now(UTC))


def runs_fire(*, now: datetime, dispatch: Dispatch = dispatch_operation_sync) -> int:
    """Fire what is due; how many runs began. Call it with no scope open, one at a time."""
    with scope.operator():
        due = RunSchedule.objects.filter(status=RunScheduleStatus.ACTIVE, next_due_at__lte=now)
        schedules = list(due.order_by("next_due_at").values_list("organization_id", "id"))
    for organization_id, schedule_id in schedules:
        with scope.organization(organization_id):
            _time_note(schedule_id, now)
    with scope.operator():
        # What was never tried goes first: what a silent machine holds up keeps nobody else waiting.
        waiting = RunFiring.objects.filter(state=FiringState.WAITING).order_by("tries", "due_at")
        firings = list(waiting.values_list("organization_id", "id"))
    silent: set[UUID] = set()
    begun = 0
    for organization_id, firing_id in firings:
        if organization_id in silent:
            continue
        try:
            begun += _fire(organization_id, firing_id, now, dispatch)
        except _Silent:
            silent.add(organization_id)
    return begun


def _time_note(schedule_id: UUID, now: datetime) -> None:
    """The schedule's due times become rows, and the schedule moves to its next one from now on."""
    with recorded("run_schedule_due"):
        row = RunSchedule.objects.select_for_update().get(id=schedule_id)
        due_at = row.next_due_at
        if row.status != RunScheduleStatus.ACTIVE or due_at is None or due_at > now:
            return
        *missed, last = _passed(row, due_at, now)
        if now - last > LATE and row.when_away == WhenAway.SKIP:
            missed.append(last)
        for passed in dict.fromkeys([*missed, last]):
            is_missed = passed in missed
            RunFiring.objects.get_or_create(
                schedule=row,
                due_at=passed,
                defaults={
                    "organization_id": row.organization_id,
                    "state": FiringState.MISSED if is_missed else FiringState.WAITING,
                    "ended_at": now if is_missed else None,
                },
            )
        row.next_due_at = run_schedules.next_due(row, after=now)
        if row.next_due_at is None:
            row.status = RunScheduleStatus.DONE
        row.save(update_fields=["next_due_at", "status"])


def _passed(row: RunSchedule, due_at: datetime, now: datetime) -> list[datetime]:
    """The due time, and those after it until now; of what is longer ago than LATE the first stands for all."""
    passed, after = [due_at], max(due_at, now - LATE)
    while (following := run_schedules.next_due(row, after=after)) is not None and following <= now:
        passed.append(following)
        after = following
    return passed


def _fire(organization_id: UUID, firing_id: UUID, now: datetime, dispatch: Dispatch) -> bool:
    """Whether its run began. Raises _Silent."""
    with scope.organization(organization_id):
        firing = RunFiring.objects.select_related("schedule__project").get(id=firing_id)
        acting = owners.firing_now(firing, now=now)
    principal = acting.principal
    if firing.schedule.status in (RunScheduleStatus.PAUSED, RunScheduleStatus.DELETED):
        _end(firing, FiringState.SKIPPED, principal, now, code="cancelled")
        return False
    if firing.asked_version not in (None, firing.schedule.version):
        # It is not what they asked for any more, nor did they ask for what it is now.
        _end(firing, FiringState.FAILED, principal, now, code=errors.PreconditionFailed.code)
        return False
    if acting.lost is not None:
        _stop(firing, acting.lost, principal, now)
        return False
    try:
        _begin(firing, principal, dispatch)
    except errors.RopewayError as error:
        _refused(firing, principal, now, error)
        if isinstance(error, errors.DeadlineExceeded):
            raise _Silent from error
        return False
    _end(firing, FiringState.STARTED, principal, now)
    return True


def _begin(firing: RunFiring, principal: Principal, dispatch: Dispatch) -> None:
    """Put the run on the machine, whole: it is there with all of its steps, or not at all."""
    schedule = firing.schedule
    name = f"schedule-{schedule.id}-{_stamp(firing.due_at)}"
    answered = dispatch(
        principal=principal,
        operation_name="manifests.submit",
        project_id=str(schedule.project_id),
        parameters={},
        query={},
        body=run_schedules.manifest_of(schedule, name=name),
        idempotency_key=name,
        location=schedule.location or None,
    )
    firing.run_id = str(answered.body["run"]["run_id"])


def _stamp(due_at: datetime) -> str:
    """A time as no other of its schedule is written: what is due within a minute says when in it."""
    due = due_at.astimezone(UTC)
    return f"{due:%Y%m%dT%H%M}" if due == due.replace(second=0, microsecond=0) else f"{due:%Y%m%dT%H%M%S%f}"


def _stop(firing: RunFiring, because: StoppedBecause, principal: Principal, now: datetime) -> None:
    """Its owner may not any more: this time failed, and there is no other until somebody takes it over. Where somebody
    asked for it who may not any more, that is all that failed."""
    with scope.organization(firing.organization_id), recorded("run_firing_end"):
        if not firing.asked_by:
            run_schedules.run_schedule_stop(firing.schedule, because=because, principal=principal)
        _end(firing, FiringState.FAILED, principal, now, code=errors.Forbidden.code)


def _refused(firing: RunFiring, principal: Principal, now: datetime, error: errors.RopewayError) -> None:
    is_away = isinstance(error, errors.ConnectorOffline)
    if is_away and firing.schedule.when_away == WhenAway.SKIP:
        _end(firing, FiringState.SKIPPED, principal, now, code=error.code)
    elif not error.is_retryable:
        _end(firing, FiringState.FAILED, principal, now, code=error.code)
    elif now - firing.due_at > (QUEUED if firing.schedule.when_away == WhenAway.QUEUE else LATE):
        _end(firing, FiringState.MISSED, principal, now, code=error.code)
    else:
        with scope.organization(firing.organization_id), recorded("run_firing_wait"):
            firing.tries, firing.code = firing.tries + 1, error.code
            firing.save(update_fields=["tries", "code"])


def _end(firing: RunFiring, state: FiringState, principal: Principal, now: datetime, *, code: str = "") -> None:
    schedule = firing.schedule
    with scope.organization(firing.organization_id), recorded("run_firing_end"):
        firing.state, firing.code, firing.ended_at = state, code, now
        firing.save(update_fields=["state", "code", "ended_at", "run_id"])
        audit.event_record(
            event_type=EventType.RUN_SCHEDULE_FIRED,
            principal=principal,
            organization_id=firing.organization_id,
            target_kind="run_schedule",
            target_id=schedule.id,
            project_id=schedule.project_id,
            outcome=Outcome.OK if state is FiringState.STARTED else Outcome.ERROR,
            details={"due_at": firing.due_at.isoformat(), "state": state.value, "code": code, "run_id": firing.run_id},
        )
    logger.info(
        "run schedule fired",
        extra={"event": "run_schedule.fired", "schedule_id": str(schedule.id), "state": state.value, "code": code},
    )
