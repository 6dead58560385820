"""In whose name a schedule fires: somebody with the rights that they have now, or why they cannot.

At its times that is its owner, whoever made or last changed it; beside them, whoever asked for it. Either is a person,
or a token with the person who holds it, and what begins counts against the token's limits, as if it had called itself.
Callers open the organization's scope. Called by `firing`. Tests: tests/integration/cloud/schedules/test_owners.py.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.access import selectors as access
from cloud.access.principals import Principal, PrincipalKind, system_principal
from cloud.schedules.models import RunFiring, RunSchedule, StoppedBecause
from cloud.tenancy import grants
from cloud.tenancy.models import Membership, Status
from local_daemon.protocol.scopes import Scope

SENTENCES = {
    StoppedBecause.OWNER_GONE: "Whoever it fires for is no member any more.",
    StoppedBecause.TOKEN_ENDED: "The token that it fires for has ended.",
    StoppedBecause.RIGHTS_LOST: "Whoever it fires for may not submit work in this project any more.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBehalf:
    """The schedule as one that acts for somebody; with `lost` it may not."""

    principal: Principal
    lost: StoppedBecause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Somebody:
    """Whom it acts for, as a row remembers them, and since when; neither member nor token: the installation."""

    label: str
    membership_id: UUID | None
    token_id: UUID | None
    since: datetime


def owner_now(schedule: RunSchedule, *, now: datetime) -> OnBehalf:
    """For its owner, at this moment; of a row that was selected with its project."""
    somebody = _Somebody(
        label=f"schedule {schedule.name} of {schedule.made_by}",
        membership_id=schedule.membership_id,
        token_id=schedule.token_id,
        since=schedule.owned_since,
    )
    return _on_behalf(schedule, somebody, now)


def firing_now(firing: RunFiring, *, now: datetime) -> OnBehalf:
    """For whoever asked for this firing, or else its owner; of a row that was selected with schedule and project."""
    schedule = firing.schedule
    if not firing.asked_by:
        return owner_now(schedule, now=now)
    somebody = _Somebody(
        label=f"schedule {schedule.name}, asked for by {firing.asked_by}",
        membership_id=firing.asked_membership_id,
        token_id=firing.asked_token_id,
        since=firing.due_at,
    )
    return _on_behalf(schedule, somebody, now)


def _on_behalf(schedule: RunSchedule, somebody: _Somebody, now: datetime) -> OnBehalf:
    whole = _whole(schedule, somebody, now)
    if isinstance(whole, StoppedBecause):
        return OnBehalf(principal=_acting(schedule, somebody, None), lost=whole)
    may = Scope.STEPS_WRITE in whole.scopes and grants.reaches_project(
        whole, project_id=schedule.project_id, workspace_id=schedule.project.workspace_id
    )
    return OnBehalf(principal=_acting(schedule, somebody, whole), lost=None if may else StoppedBecause.RIGHTS_LOST)


def _whole(schedule: RunSchedule, somebody: _Somebody, now: datetime) -> Principal | StoppedBecause:
    if somebody.token_id is not None:
        return access.token_speaks(somebody.token_id, now=now) or StoppedBecause.TOKEN_ENDED
    if somebody.membership_id is None:
        return system_principal(schedule.organization_id, label=somebody.label)
    members = Membership.objects.filter(id=somebody.membership_id, status=Status.ACTIVE, user__is_active=True)
    member = members.filter(active_since__lte=somebody.since).select_related("user").first()
    return StoppedBecause.OWNER_GONE if member is None else access.member_principal(member.user, member)


def _acting(schedule: RunSchedule, somebody: _Somebody, whole: Principal | None) -> Principal:
    """The schedule itself, so that the audit tells what it began from what they asked for themselves."""
    return Principal(
        kind=PrincipalKind.SYSTEM,
        id=f"schedule:{schedule.id}",
        organization_id=schedule.organization_id,
        label=somebody.label,
        scopes=whole.scopes if whole else frozenset(),
        project_ids=whole.project_ids if whole else frozenset(),
        workspace_id=whole.workspace_id if whole else None,
        membership_id=whole.membership_id if whole else None,
        limited_as=somebody.token_id,
    )
