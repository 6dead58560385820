"""In whose name a schedule fires, with what they may then; and that it stops where they may no more."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from cloud.access import authentication, authorization
from cloud.access import selectors as access
from cloud.access import services as tokens
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Grant, Principal
from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.schedules import firing, owners, run_schedules, selectors
from cloud.schedules.models import RunFiring, RunSchedule, StoppedBecause
from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Status
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

TASK = {"goal": "Update the dependencies.", "executor": "codex"}
# Later than any suite takes from here to its tests.
SOON = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=3)
LATER = SOON + timedelta(seconds=30)


class Funnel:
    """Takes every call, and remembers in whose name it came."""

    def __init__(self) -> None:
        self.principals: list[Principal] = []

    def dispatch(self, *, principal: Principal, **_asked: Any) -> Any:
        self.principals.append(principal)
        return SimpleNamespace(body={"run": {"run_id": "run_" + "0" * 26}})


@pytest.fixture
def funnel() -> Funnel:
    return Funnel()


@pytest.fixture
def member(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_ADMIN)


@pytest.fixture
def minted(member: Membership, make_token: MakeToken) -> tuple[Token, str]:
    return make_token(member, kind=TokenKind.SERVICE)


def as_person(member: Membership, wanted: Scope, project_id: UUID | None = None) -> Grant:
    principal = access.user_principal(member.user, organization_id=member.organization_id)
    return authorization.authorize(principal, wanted, project_id=project_id)


def scheduled(tenant: Tenant, principal: Principal, **facts: Any) -> RunSchedule:
    with scope.organization(tenant.id):
        grant = authorization.authorize(principal, Scope.RUNS_WRITE, project_id=tenant.project.id)
        asked = {"name": "nightly", "objective": "Keep up.", "tasks": [TASK], "cron": "0 * * * *", **facts}
        row = run_schedules.run_schedule_create(grant=grant, **asked)
        RunSchedule.objects.filter(id=row.id).update(next_due_at=SOON)
    return row


def by_person(tenant: Tenant, member: Membership, **facts: Any) -> RunSchedule:
    with scope.organization(tenant.id):
        principal = access.user_principal(member.user, organization_id=tenant.id)
    return scheduled(tenant, principal, **facts)


def story(tenant: Tenant, row: RunSchedule) -> tuple[str, str, list[str]]:
    """Its status, why it stopped, and what came of its times."""
    with scope.organization(tenant.id):
        found = RunSchedule.objects.get(id=row.id)
        states = list(RunFiring.objects.order_by("due_at").values_list("state", flat=True))
        return found.status, found.stopped_because, states


def test_it_fires_with_the_rights_that_its_owner_has_then(acme: Tenant, member: Membership, funnel: Funnel) -> None:
    by_person(acme, member)
    with scope.organization(acme.id):
        Membership.objects.filter(id=member.id).update(role=Role.PROJECT_OPERATOR, project_ids=[acme.project.id])
    assert firing.runs_fire(now=LATER, dispatch=funnel.dispatch) == 1
    (who,) = funnel.principals
    assert Scope.MEMBERS_WRITE not in who.scopes
    assert (who.project_ids, who.membership_id, who.counted_token_id) == ({acme.project.id}, member.id, None)


LOST = {
    "removed": ({"status": Status.DISABLED}, StoppedBecause.OWNER_GONE),
    "only reads now": ({"role": Role.PROJECT_VIEWER}, StoppedBecause.RIGHTS_LOST),
    "works elsewhere now": ({"project_ids": [ids.new_uuid7()]}, StoppedBecause.RIGHTS_LOST),
    "left and came back": ({"active_since": SOON + timedelta(seconds=1)}, StoppedBecause.OWNER_GONE),
}


@pytest.mark.parametrize(("change", "because"), LOST.values(), ids=LOST.keys())
def test_without_its_owners_rights_it_pauses_and_says_why(
    acme: Tenant, member: Membership, funnel: Funnel, change: dict[str, Any], because: StoppedBecause
) -> None:
    row = by_person(acme, member)
    with scope.organization(acme.id):
        Membership.objects.filter(id=member.id).update(**change)
    for minutes in (0, 60):
        assert firing.runs_fire(now=LATER + timedelta(minutes=minutes), dispatch=funnel.dispatch) == 0
    assert story(acme, row) == ("paused", because, ["failed"])
    assert funnel.principals == []
    with scope.organization(acme.id):
        told = AuditEvent.objects.get(event_type="run_schedule:paused")
    assert (told.actor_kind, told.details["because"]) == ("system", because)
    assert set(owners.SENTENCES) == set(StoppedBecause)


def test_of_somebody_who_cannot_sign_in_it_fires_nothing(acme: Tenant, member: Membership, funnel: Funnel) -> None:
    row = by_person(acme, member)
    User.objects.filter(id=member.user_id).update(is_active=False)
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    assert story(acme, row)[:2] == ("paused", StoppedBecause.OWNER_GONE)


def test_one_that_a_token_made_counts_against_that_tokens_limits(
    acme: Tenant, minted: tuple[Token, str], member: Membership, funnel: Funnel
) -> None:
    token, secret = minted
    scheduled(acme, authentication.authenticate_bearer(secret))
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    (who,) = funnel.principals
    assert (who.kind, who.counted_token_id, who.membership_id) == ("system", token.id, member.id)


def test_a_token_that_was_narrowed_narrows_what_it_scheduled(
    acme: Tenant, minted: tuple[Token, str], funnel: Funnel
) -> None:
    token, secret = minted
    row = scheduled(acme, authentication.authenticate_bearer(secret))
    with scope.organization(acme.id):
        Token.objects.filter(id=token.id).update(scopes=[Scope.RUNS_WRITE, Scope.RUNS_READ])
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    assert story(acme, row) == ("paused", StoppedBecause.RIGHTS_LOST, ["failed"])


@pytest.mark.parametrize("ended", ["revoked", "expired", "its holder left"])
def test_it_does_not_outlive_the_token_that_made_it(
    acme: Tenant, minted: tuple[Token, str], member: Membership, funnel: Funnel, ended: str
) -> None:
    token, secret = minted
    row = scheduled(acme, authentication.authenticate_bearer(secret))
    with scope.organization(acme.id):
        if ended == "revoked":
            tokens.token_revoke(grant=as_person(member, Scope.TOKENS_WRITE), token_id=token.id)
        elif ended == "expired":
            Token.objects.filter(id=token.id).update(expires_at=SOON)
        else:
            Membership.objects.filter(id=member.id).update(status=Status.DISABLED)
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    assert story(acme, row) == ("paused", StoppedBecause.TOKEN_ENDED, ["failed"])


def test_it_goes_on_with_the_token_that_took_the_place_of_the_one_that_made_it(
    acme: Tenant, minted: tuple[Token, str], funnel: Funnel
) -> None:
    token, secret = minted
    principal = authentication.authenticate_bearer(secret)
    row = scheduled(acme, principal)
    with scope.organization(acme.id):
        grant = authorization.authorize(principal, Scope.TOKENS_WRITE)
        tokens.token_rotate(grant=grant, token_id=token.id)
    assert firing.runs_fire(now=LATER, dispatch=funnel.dispatch) == 1
    assert story(acme, row)[0] == "active"


def test_who_resumes_one_that_stopped_takes_it_over(
    acme: Tenant, member: Membership, make_member: MakeMember, funnel: Funnel
) -> None:
    row = by_person(acme, make_member(acme, Role.ORG_ADMIN))
    with scope.organization(acme.id):
        Membership.objects.exclude(id=member.id).update(status=Status.DISABLED)
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    with scope.organization(acme.id):
        with pytest.raises(errors.InvalidTransition):
            run_schedules.run_schedule_fire(grant=as_person(member, Scope.RUNS_WRITE), schedule_id=row.id)
        resumed = run_schedules.run_schedule_resume(grant=as_person(member, Scope.RUNS_WRITE), schedule_id=row.id)
        assert (resumed.made_by, resumed.stopped_because) == (member.user.email, "")
        RunSchedule.objects.filter(id=row.id).update(next_due_at=SOON + timedelta(hours=1))
    assert firing.runs_fire(now=LATER + timedelta(hours=1), dispatch=funnel.dispatch) == 1


def test_one_that_a_person_paused_stays_its_makers_when_another_resumes_it(
    acme: Tenant, member: Membership, make_member: MakeMember
) -> None:
    row = by_person(acme, member)
    other = make_member(acme, Role.ORG_OWNER)
    with scope.organization(acme.id):
        run_schedules.run_schedule_pause(grant=as_person(other, Scope.RUNS_WRITE), schedule_id=row.id)
        resumed = run_schedules.run_schedule_resume(grant=as_person(other, Scope.RUNS_WRITE), schedule_id=row.id)
    assert resumed.made_by == member.user.email


def test_who_cannot_submit_steps_has_none_begin_by_anothers_schedule(
    acme: Tenant, member: Membership, make_token: MakeToken
) -> None:
    row = by_person(acme, member)
    _, secret = make_token(member, Scope.RUNS_READ, Scope.RUNS_WRITE)
    with scope.organization(acme.id):
        grant = authorization.authorize(authentication.authenticate_bearer(secret), Scope.RUNS_WRITE)
        with pytest.raises(errors.Forbidden, match="steps:write"):
            run_schedules.run_schedule_fire(grant=grant, schedule_id=row.id)
        run_schedules.run_schedule_pause(grant=grant, schedule_id=row.id)
        with pytest.raises(errors.Forbidden, match="steps:write"):
            run_schedules.run_schedule_resume(grant=grant, schedule_id=row.id)
        assert not RunFiring.objects.filter(schedule=row).exists()


def ask_for(tenant: Tenant, row: RunSchedule, principal: Principal) -> None:
    with scope.organization(tenant.id):
        grant = authorization.authorize(principal, Scope.RUNS_WRITE)
        run_schedules.run_schedule_fire(grant=grant, schedule_id=row.id)


def test_what_somebody_asked_for_begins_in_their_name_and_counts_against_their_token(
    acme: Tenant, member: Membership, minted: tuple[Token, str], make_token: MakeToken, funnel: Funnel
) -> None:
    row = scheduled(acme, authentication.authenticate_bearer(minted[1]))
    token, secret = make_token(member)
    ask_for(acme, row, authentication.authenticate_bearer(secret))
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 1
    assert firing.runs_fire(now=LATER, dispatch=funnel.dispatch) == 1
    asked, due = funnel.principals
    assert (asked.kind, asked.counted_token_id, asked.membership_id) == ("system", token.id, member.id)
    assert due.counted_token_id == minted[0].id
    with scope.organization(acme.id):
        told = AuditEvent.objects.filter(event_type="run_schedule:fired").order_by("id")
        assert [event.actor_label for event in told] == [asked.label, due.label]
    assert asked.label == "schedule nightly, asked for by planner"


def test_a_person_may_have_anothers_schedule_begin_with_their_own_rights(
    acme: Tenant, member: Membership, make_member: MakeMember, funnel: Funnel
) -> None:
    row = by_person(acme, member)
    operator = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    with scope.organization(acme.id):
        asking = access.user_principal(operator.user, organization_id=acme.id)
    ask_for(acme, row, asking)
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 1
    (who,) = funnel.principals
    assert (who.membership_id, who.project_ids) == (operator.id, {acme.project.id})
    assert Scope.MEMBERS_WRITE not in who.scopes


def test_who_may_no_more_when_it_begins_had_asked_in_vain_and_the_schedule_goes_on(
    acme: Tenant, member: Membership, make_member: MakeMember, funnel: Funnel
) -> None:
    row = by_person(acme, member)
    leaver = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    with scope.organization(acme.id):
        asking = access.user_principal(leaver.user, organization_id=acme.id)
    ask_for(acme, row, asking)
    with scope.organization(acme.id):
        Membership.objects.filter(id=leaver.id).update(status=Status.DISABLED)
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 0
    assert story(acme, row) == ("active", "", ["failed"])
    assert firing.runs_fire(now=LATER, dispatch=funnel.dispatch) == 1


def test_what_an_operator_of_the_installation_asks_for_is_the_installations(
    acme: Tenant, minted: tuple[Token, str], funnel: Funnel
) -> None:
    row = scheduled(acme, authentication.authenticate_bearer(minted[1]))
    operator = User.objects.create_superuser("root@example.com", "a long password")
    with scope.organization(acme.id):
        asking = access.user_principal(operator, organization_id=acme.id)
    ask_for(acme, row, asking)
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 1
    (who,) = funnel.principals
    assert (who.counted_token_id, who.membership_id) == (None, None)
    assert who.label.endswith("asked for by root@example.com")


def test_one_time_that_its_owner_may_not_have_any_more_fails_and_says_why(
    acme: Tenant, member: Membership, funnel: Funnel
) -> None:
    row = by_person(acme, member, cron="", starts_at=SOON)
    with scope.organization(acme.id):
        Membership.objects.filter(id=member.id).update(status=Status.DISABLED)
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    assert story(acme, row) == ("done", StoppedBecause.OWNER_GONE, ["failed"])


def test_what_somebody_changed_while_it_was_found_out_is_not_stopped(acme: Tenant, member: Membership) -> None:
    row = by_person(acme, member)
    with scope.organization(acme.id):
        seen = RunSchedule.objects.get(id=row.id)
        run_schedules.run_schedule_update(
            grant=as_person(member, Scope.RUNS_WRITE), schedule_id=row.id, version=None, changes={"name": "anew"}
        )
        owner = owners.owner_now(seen, now=LATER)
        with transaction.atomic():
            run_schedules.run_schedule_stop(seen, because=StoppedBecause.OWNER_GONE, principal=owner.principal)
        reads = as_person(member, Scope.RUNS_READ)
        assert selectors.run_schedule_get(grant=reads, schedule_id=row.id).status == "active"


def changed(tenant: Tenant, member: Membership, row: RunSchedule, **changes: Any) -> None:
    with scope.organization(tenant.id):
        grant = as_person(member, Scope.RUNS_WRITE)
        run_schedules.run_schedule_update(grant=grant, schedule_id=row.id, version=None, changes=changes)


def principal_of(tenant: Tenant, member: Membership) -> Principal:
    with scope.organization(tenant.id):
        return access.user_principal(member.user, organization_id=tenant.id)


def test_a_token_that_is_nobodys_is_refused_when_it_asks_and_not_when_its_time_comes(
    acme: Tenant, member: Membership
) -> None:
    row = by_person(acme, member)
    operator = User.objects.create_superuser("root@example.com", "a long password")
    with scope.organization(acme.id):
        mints = authorization.authorize(access.user_principal(operator, organization_id=acme.id), Scope.TOKENS_WRITE)
        scopes = [Scope.RUNS_WRITE, Scope.RUNS_READ, Scope.STEPS_WRITE]
        token, secret = tokens.token_mint(grant=mints, name="ci", scopes=scopes, kind=TokenKind.SERVICE)
    assert token.membership_id is None
    with pytest.raises(errors.Forbidden, match="nobody's"):
        ask_for(acme, row, authentication.authenticate_bearer(secret))
    with scope.organization(acme.id):
        assert not RunFiring.objects.exists()


def test_what_was_changed_after_it_was_asked_for_does_not_begin_in_the_askers_name(
    acme: Tenant, member: Membership, make_member: MakeMember, funnel: Funnel
) -> None:
    row = by_person(acme, member)
    ask_for(acme, row, principal_of(acme, member))
    changer = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    changed(acme, changer, row, objective="Otherwise.", tasks=[{**TASK, "goal": "Otherwise."}])
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 0
    assert funnel.principals == []
    with scope.organization(acme.id):
        failed = RunFiring.objects.get()
        assert (failed.state, failed.code) == ("failed", "precondition_failed")
        told = AuditEvent.objects.get(event_type="run_schedule:fired")
        assert (told.outcome, told.details["code"]) == ("error", "precondition_failed")
        assert told.actor_label == f"schedule nightly, asked for by {member.user.email}"
        assert RunSchedule.objects.get().status == "active"


def test_who_asks_for_what_was_changed_meanwhile_has_that_begin(
    acme: Tenant, member: Membership, make_member: MakeMember, funnel: Funnel
) -> None:
    row = by_person(acme, member)
    ask_for(acme, row, principal_of(acme, member))
    changer = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    changed(acme, changer, row, objective="Otherwise.")
    ask_for(acme, row, principal_of(acme, changer))
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 1
    assert [who.membership_id for who in funnel.principals] == [changer.id]
    assert story(acme, row) == ("active", "", ["failed", "started"])


def test_one_asked_for_in_a_release_that_noted_no_version_begins_as_it_is(
    acme: Tenant, member: Membership, funnel: Funnel
) -> None:
    row = by_person(acme, member)
    ask_for(acme, row, principal_of(acme, member))
    with scope.organization(acme.id):
        RunFiring.objects.update(asked_version=None)
    changed(acme, member, row, name="anew")
    assert firing.runs_fire(now=datetime.now(UTC), dispatch=funnel.dispatch) == 1


def test_a_change_after_its_time_was_noted_fires_as_its_new_owners(
    acme: Tenant, member: Membership, make_member: MakeMember, funnel: Funnel
) -> None:
    row = by_person(acme, member)
    with scope.organization(acme.id):
        RunFiring.objects.create(organization_id=acme.id, schedule=row, due_at=SOON)
    changer = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    changed(acme, changer, row, objective="Otherwise.")
    firing.runs_fire(now=LATER, dispatch=funnel.dispatch)
    assert {who.membership_id for who in funnel.principals} == {changer.id}


def test_who_joins_what_another_asked_for_is_told_of_too(
    acme: Tenant, member: Membership, make_member: MakeMember
) -> None:
    row = by_person(acme, member)
    ask_for(acme, row, principal_of(acme, member))
    second = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    ask_for(acme, row, principal_of(acme, second))
    with scope.organization(acme.id):
        assert RunFiring.objects.count() == 1
        told = AuditEvent.objects.filter(event_type="run_schedule:asked").order_by("id")
        assert [(event.actor_label, event.details.get("joins")) for event in told] == [
            (member.user.email, None),
            (second.user.email, member.user.email),
        ]
