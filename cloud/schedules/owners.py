"""In whose name a schedule fires: its owner with the rights that they have now, or why they cannot.

Its owner is whoever made or last changed it: a person, or a token with the person who holds it. What it begins counts
against the token's limits, as if it had called itself. Callers open the organization's scope. Called by `firing`.
Tests: tests/integration/cloud/schedules/test_owners.py.
"""

from dataclasses import dataclass
from datetime import datetime

from cloud.access import selectors as access
from cloud.access.principals import Principal, PrincipalKind, system_principal
from cloud.schedules.models import RunSchedule, StoppedBecause
from cloud.tenancy import grants
from cloud.tenancy.models import Membership, Status
from local_daemon.protocol.scopes import Scope

SENTENCES = {
    StoppedBecause.OWNER_GONE: "Whoever it fires for is no member any more.",
    StoppedBecause.TOKEN_ENDED: "The token that it fires for has ended.",
    StoppedBecause.RIGHTS_LOST: "Whoever it fires for may not submit work in this project any more.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The schedule as one that acts; with `lost` it may not."""

    principal: Principal
    lost: StoppedBecause | None


def owner_now(schedule: RunSchedule, *, now: datetime) -> Owner:
    """The schedule's owner at this moment; of a row that was selected with its project."""
    label = f"schedule {schedule.name} of {schedule.made_by}"
    whole = _whole(schedule, label, now)
    if isinstance(whole, StoppedBecause):
        return Owner(principal=_acting(schedule, label, None), lost=whole)
    may = Scope.STEPS_WRITE in whole.scopes and grants.reaches_project(
        whole, project_id=schedule.project_id, workspace_id=schedule.project.workspace_id
    )
    return Owner(principal=_acting(schedule, label, whole), lost=None if may else StoppedBecause.RIGHTS_LOST)


def _whole(schedule: RunSchedule, label: str, now: datetime) -> Principal | StoppedBecause:
    if schedule.token_id is not None:
        return access.token_speaks(schedule.token_id, now=now) or StoppedBecause.TOKEN_ENDED
    if schedule.membership_id is None:
        return system_principal(schedule.organization_id, label=label)
    members = Membership.objects.filter(id=schedule.membership_id, status=Status.ACTIVE, user__is_active=True)
    member = members.filter(active_since__lte=schedule.owned_since).select_related("user").first()
    return StoppedBecause.OWNER_GONE if member is None else access.member_principal(member.user, member)


def _acting(schedule: RunSchedule, label: str, whole: Principal | None) -> Principal:
    """The schedule itself, so that the audit tells what it began from what its owner asked for."""
    return Principal(
        kind=PrincipalKind.SYSTEM,
        id=f"schedule:{schedule.id}",
        organization_id=schedule.organization_id,
        label=label,
        scopes=whole.scopes if whole else frozenset(),
        project_ids=whole.project_ids if whole else frozenset(),
        workspace_id=whole.workspace_id if whole else None,
        membership_id=whole.membership_id if whole else None,
        limited_as=schedule.token_id,
    )
