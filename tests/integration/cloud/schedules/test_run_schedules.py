"""Runs that begin by themselves: who may have them, when they fire, and that each time is one run."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from cloud.access import authorization
from cloud.access import selectors as access
from cloud.access.principals import Grant, Principal
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.schedules import firing, run_schedules, selectors
from cloud.schedules.models import RunFiring, RunSchedule
from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Status
from local_daemon.protocol import errors, origins
from local_daemon.protocol.manifests import RunManifest
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

TASK = {"goal": "Update the dependencies.", "executor": "codex"}
RUN = "run_" + "0" * 26
# Later than any suite takes from here to its tests.
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
LATER = SOON + timedelta(seconds=30)

Make = Callable[..., RunSchedule]


class Machine:
    """Answers as a daemon does, or refuses; remembers each key once."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[str, RunManifest]] = {}
        self.refusal: errors.RopewayError | None = None

    def dispatch(self, *, operation_name: str, idempotency_key: str, body: Any, **_asked: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.calls[idempotency_key] = (operation_name, RunManifest.model_validate(body))
        return SimpleNamespace(body={"run": {"run_id": RUN}})

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls.values()]

    @property
    def manifests(self) -> list[RunManifest]:
        return [manifest for _, manifest in self.calls.values()]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def member(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_ADMIN)


def grant_of(member: Membership, wanted: Scope, project_id: UUID | None = None) -> Grant:
    principal = access.user_principal(member.user, organization_id=member.organization_id)
    return authorization.authorize(principal, wanted, project_id=project_id)


@pytest.fixture
def make(acme: Tenant, member: Membership) -> Make:
    def schedule(**facts: Any) -> RunSchedule:
        asked = {"name": "nightly", "objective": "Keep up.", "tasks": [TASK], "starts_at": SOON, **facts}
        with scope.organization(acme.id):
            grant = grant_of(member, Scope.RUNS_WRITE, acme.project.id)
            return run_schedules.run_schedule_create(grant=grant, **asked)

    return schedule


def firings(tenant: Tenant) -> list[tuple[str, str]]:
    with scope.organization(tenant.id):
        return list(RunFiring.objects.order_by("due_at").values_list("state", "code"))


def tried(tenant: Tenant) -> list[tuple[str, str]]:
    """What came of the times that were not simply passed over."""
    return [found for found in firings(tenant) if found != ("missed", "")]


def test_at_its_time_its_tasks_are_submitted_as_one_run(acme: Tenant, make: Make, machine: Machine) -> None:
    row = make(tasks=[TASK, TASK])
    assert firing.runs_fire(now=SOON - timedelta(seconds=1), dispatch=machine.dispatch) == 0
    assert firing.runs_fire(now=LATER, dispatch=machine.dispatch) == 1
    assert machine.operations == ["manifests.submit"]
    (manifest,) = machine.manifests
    assert (manifest.title, manifest.objective) == ("nightly", "Keep up.")
    assert [step.task.goal for step in manifest.steps] == [TASK["goal"]] * 2
    assert manifest.needs() == {"task-1": (), "task-2": ()}
    assert firings(acme) == [("started", "")]
    with scope.organization(acme.id):
        assert (RunSchedule.objects.get().status, RunFiring.objects.get().run_id) == ("done", RUN)
        told = AuditEvent.objects.filter(target_id=str(row.id)).order_by("id").values_list("event_type", "outcome")
        assert list(told) == [("run_schedule:created", "ok"), ("run_schedule:fired", "ok")]


def test_each_time_fires_once(acme: Tenant, make: Make, machine: Machine) -> None:
    make(starts_at=None, cron="*/5 * * * *", when_away="queue")
    for _ in range(3):
        firing.runs_fire(now=LATER, dispatch=machine.dispatch)
    assert len(tried(acme)) == 1
    firing.runs_fire(now=LATER + timedelta(minutes=5), dispatch=machine.dispatch)
    assert tried(acme) == [("started", "")] * 2


def test_of_the_times_that_passed_while_nobody_looked_one_is_made_up_for(
    acme: Tenant, make: Make, machine: Machine
) -> None:
    make(starts_at=None, cron="*/5 * * * *", when_away="queue")
    firing.runs_fire(now=SOON + timedelta(hours=5), dispatch=machine.dispatch)
    firing.runs_fire(now=SOON + timedelta(hours=5), dispatch=machine.dispatch)
    assert tried(acme) == [("started", "")]
    assert firings(acme)[-1] == ("started", "")


def test_every_time_that_passed_lately_is_on_record(acme: Tenant, make: Make, machine: Machine) -> None:
    row = make(starts_at=None, cron="* * * * *")
    due = SOON.replace(second=0)
    with scope.organization(acme.id):
        RunSchedule.objects.filter(id=row.id).update(next_due_at=due)
    assert firing.runs_fire(now=due + timedelta(minutes=3, seconds=10), dispatch=machine.dispatch) == 1
    assert firings(acme) == [("missed", "")] * 3 + [("started", "")]
    with scope.organization(acme.id):
        assert RunFiring.objects.latest("due_at").due_at == due + timedelta(minutes=3)
        assert RunSchedule.objects.get().next_due_at == due + timedelta(minutes=4)
    assert firing.runs_fire(now=due + timedelta(days=30), dispatch=machine.dispatch) == 1
    # Of a month the first, and the last hour.
    assert len(firings(acme)) == 4 + 1 + 60


def test_two_times_within_a_minute_are_two_runs(acme: Tenant, make: Make, machine: Machine) -> None:
    row = make(starts_at=None, cron="0 0 1 1 *")
    minute = SOON.replace(second=0)
    with scope.organization(acme.id):
        for due in (minute, minute + timedelta(seconds=30), minute + timedelta(seconds=30, microseconds=1)):
            RunFiring.objects.create(organization_id=acme.id, schedule=row, due_at=due)
    assert firing.runs_fire(now=LATER, dispatch=machine.dispatch) == 3
    assert len(machine.calls) == len({manifest.name for manifest in machine.manifests}) == 3
    # As it was called before: a time that was tried by an older release is tried again under its name.
    assert f"schedule-{row.id}-{minute:%Y%m%dT%H%M}" in machine.calls


def test_one_asked_for_is_the_one_that_waits_and_never_one_that_began(
    acme: Tenant, make: Make, machine: Machine, member: Membership
) -> None:
    row = make(starts_at=None, cron="0 0 1 1 *")
    with scope.organization(acme.id):
        grant = grant_of(member, Scope.RUNS_WRITE)
        asked = [run_schedules.run_schedule_fire(grant=grant, schedule_id=row.id).id for _ in range(2)]
        assert asked[0] == asked[1]
    firing.runs_fire(now=datetime.now(UTC), dispatch=machine.dispatch)
    with scope.organization(acme.id):
        again = run_schedules.run_schedule_fire(grant=grant, schedule_id=row.id)
        assert (again.id != asked[0], again.state) == (True, "waiting")


def test_a_time_long_past_is_missed(acme: Tenant, make: Make, machine: Machine) -> None:
    make()
    firing.runs_fire(now=SOON + timedelta(hours=2), dispatch=machine.dispatch)
    assert firings(acme) == [("missed", "")]
    assert machine.operations == []


def test_where_the_machine_is_away_the_rule_decides(acme: Tenant, make: Make, machine: Machine) -> None:
    make(name="skips")
    make(name="queues", when_away="queue")
    machine.refusal = errors.ConnectorOffline()
    firing.runs_fire(now=LATER, dispatch=machine.dispatch)
    assert sorted(firings(acme)) == [("skipped", "connector_offline"), ("waiting", "connector_offline")]
    machine.refusal = None
    firing.runs_fire(now=LATER + timedelta(hours=3), dispatch=machine.dispatch)
    assert sorted(state for state, _ in firings(acme)) == ["skipped", "started"]


def test_a_queued_time_does_not_wait_for_ever(acme: Tenant, make: Make, machine: Machine) -> None:
    make(when_away="queue")
    machine.refusal = errors.ConnectorOffline()
    firing.runs_fire(now=LATER, dispatch=machine.dispatch)
    firing.runs_fire(now=LATER + timedelta(hours=25), dispatch=machine.dispatch)
    assert firings(acme) == [("missed", "connector_offline")]


def test_a_manifest_is_submitted_as_it_is_under_a_name_of_that_time(acme: Tenant, make: Make, machine: Machine) -> None:
    manifest = {
        "name": "mine",
        "objective": "Keep up, in order.",
        "order": "sequence",
        "steps": [{"name": "look", "task": TASK}, {"name": "mend", "task": TASK}],
    }
    row = make(objective="", tasks=(), manifest=manifest, starts_at=None, cron="*/5 * * * *", when_away="queue")
    assert row.objective == "Keep up, in order."
    for minutes in (0, 5):
        firing.runs_fire(now=LATER + timedelta(minutes=minutes), dispatch=machine.dispatch)
    first, second = machine.manifests
    assert first.needs() == {"look": (), "mend": ("look",)}
    assert len({"mine", first.name, second.name}) == 3


def test_a_manifest_that_tells_what_it_was_made_of_is_refused_before_it_is_due(make: Make) -> None:
    told = origins.provenance_of("x", source=origins.Source.MANIFEST, form=origins.Form.YAML).model_dump(mode="json")
    manifest = {"objective": "o", "steps": [{"name": "only", "task": TASK}], "provenance": told}
    with pytest.raises(errors.InvalidRequest) as refused:
        make(objective="", tasks=(), manifest=manifest)
    assert [each["field"] for each in refused.value.attributes["errors"]] == ["provenance"]


def test_tasks_and_a_manifest_take_each_others_place(acme: Tenant, make: Make, member: Membership) -> None:
    row = make()
    manifest = {"objective": "Otherwise.", "steps": [{"name": "only", "task": TASK}]}
    with scope.organization(acme.id):
        grant = grant_of(member, Scope.RUNS_WRITE)
        changed = run_schedules.run_schedule_update(
            grant=grant, schedule_id=row.id, version=row.version, changes={"manifest": manifest}
        )
        assert (changed.objective, changed.tasks) == ("Otherwise.", [])
        changed = run_schedules.run_schedule_update(
            grant=grant, schedule_id=row.id, version=changed.version, changes={"tasks": [TASK]}
        )
        assert (changed.manifest, len(changed.tasks)) == (None, 1)


def test_of_two_who_change_it_at_once_the_second_is_told(acme: Tenant, make: Make, member: Membership) -> None:
    row = make()
    with scope.organization(acme.id):
        grant = grant_of(member, Scope.RUNS_WRITE)
        run_schedules.run_schedule_pause(grant=grant, schedule_id=row.id, expected_version=row.version)
        with pytest.raises(errors.PreconditionFailed):
            run_schedules.run_schedule_delete(grant=grant, schedule_id=row.id, expected_version=row.version)


def test_the_next_times_are_told_before_it_is_made() -> None:
    after = datetime(2026, 11, 21, 13, tzinfo=UTC)
    found = run_schedules.next_dues(cron="30 6 * * 1-5", time_zone="Europe/Berlin", after=after, count=2)
    assert found == [datetime(2026, 11, 23, 5, 30, tzinfo=UTC), datetime(2026, 11, 24, 5, 30, tzinfo=UTC)]
    for cron, zone in (("30 6 * *", "UTC"), ("30 6 * * *", "Mars/Olympus"), ("0 0 30 2 *", "UTC")):
        with pytest.raises(errors.InvalidRequest):
            run_schedules.next_dues(cron=cron, time_zone=zone, after=after)


def test_what_is_refused_for_good_fails(acme: Tenant, make: Make, machine: Machine) -> None:
    make()
    machine.refusal = errors.AmbiguousLocation(candidates=[])
    firing.runs_fire(now=LATER, dispatch=machine.dispatch)
    assert firings(acme) == [("failed", "ambiguous_location")]


def test_a_tenant_whose_machine_is_silent_keeps_no_other_waiting(
    acme: Tenant, globex: Tenant, make: Make, make_member: MakeMember
) -> None:
    """A machine that takes a call and never answers costs its whole deadline: one such a tenant and round."""
    for number in range(3):
        make(name=f"silent {number}", starts_at=SOON - timedelta(minutes=10 - number))
    with scope.organization(globex.id):
        other = grant_of(make_member(globex, Role.ORG_ADMIN), Scope.RUNS_WRITE, globex.project.id)
        run_schedules.run_schedule_create(
            grant=other, name="other", objective="Keep up.", tasks=[TASK], starts_at=SOON
        )  # fmt: skip
    asked: list[UUID] = []

    def dispatch(*, principal: Principal, **_asked: Any) -> Any:
        asked.append(principal.organization_id)
        if principal.organization_id == acme.id:
            raise errors.DeadlineExceeded
        return SimpleNamespace(body={"run": {"run_id": RUN}})

    assert firing.runs_fire(now=LATER, dispatch=dispatch) == 1
    assert asked == [acme.id, globex.id]
    firing.runs_fire(now=LATER + timedelta(minutes=1), dispatch=dispatch)
    assert asked[2:] == [acme.id]
    assert firings(acme) == [("waiting", "deadline_exceeded"), ("waiting", "deadline_exceeded"), ("waiting", "")]


def test_who_was_removed_fires_nothing(acme: Tenant, make: Make, machine: Machine, member: Membership) -> None:
    make()
    with scope.organization(acme.id):
        Membership.objects.filter(id=member.id).update(status=Status.DISABLED)
    firing.runs_fire(now=LATER, dispatch=machine.dispatch)
    assert firings(acme) == [("failed", "forbidden")]
    assert machine.operations == []


def test_it_can_be_paused_resumed_changed_and_deleted(
    acme: Tenant, make: Make, machine: Machine, member: Membership
) -> None:
    row = make()
    with scope.organization(acme.id):
        grant = grant_of(member, Scope.RUNS_WRITE)
        run_schedules.run_schedule_pause(grant=grant, schedule_id=row.id)
    firing.runs_fire(now=LATER, dispatch=machine.dispatch)
    assert firings(acme) == []
    with scope.organization(acme.id):
        resumed = run_schedules.run_schedule_resume(grant=grant, schedule_id=row.id)
        changes = {"starts_at": SOON + timedelta(days=1)}
        with pytest.raises(errors.PreconditionFailed):
            run_schedules.run_schedule_update(grant=grant, schedule_id=row.id, version=1, changes=changes)
        changed = run_schedules.run_schedule_update(
            grant=grant, schedule_id=row.id, version=resumed.version, changes=changes
        )
        assert changed.next_due_at == SOON + timedelta(days=1)
        run_schedules.run_schedule_delete(grant=grant, schedule_id=row.id)
        reads = grant_of(member, Scope.RUNS_READ)
        assert selectors.run_schedule_page(grant=reads).items == []
        with pytest.raises(errors.NotFound):
            run_schedules.run_schedule_pause(grant=grant, schedule_id=row.id)


@pytest.mark.parametrize(
    "facts",
    [
        {"starts_at": None},
        {"cron": "* * * * *"},
        {"starts_at": None, "cron": "every day"},
        {"starts_at": None, "cron": "0 0 31 2 *"},
        {"starts_at": datetime.now(UTC) - timedelta(minutes=1)},
        {"time_zone": "Mars/Olympus", "starts_at": None, "cron": "* * * * *"},
        {"tasks": []},
        {"tasks": [{"goal": "x"}]},
        {"manifest": {"objective": "x", "steps": [{"name": "only", "task": TASK}]}},
        {"tasks": (), "manifest": {"objective": "x", "steps": []}},
        {"tasks": (), "manifest": {"objective": "x" * 70_000, "steps": [{"name": "only", "task": TASK}] * 2}},
        {"name": " "},
        {"name": "two\nlines"},
        {"when_away": "hope"},
    ],
)
def test_what_cannot_be_fired_is_refused(make: Make, facts: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        make(**facts)


def test_a_viewer_makes_none_and_another_tenant_sees_none(
    acme: Tenant, globex: Tenant, make: Make, make_member: MakeMember
) -> None:
    row = make()
    viewer = make_member(acme, Role.PROJECT_VIEWER)
    other = make_member(globex, Role.ORG_OWNER)
    with scope.organization(acme.id), pytest.raises(errors.Forbidden):
        grant_of(viewer, Scope.RUNS_WRITE, acme.project.id)
    with scope.organization(globex.id):
        with pytest.raises(errors.NotFound):
            selectors.run_schedule_get(grant=grant_of(other, Scope.RUNS_READ), schedule_id=row.id)
        with pytest.raises(errors.NotFound):
            run_schedules.run_schedule_delete(grant=grant_of(other, Scope.RUNS_WRITE), schedule_id=row.id)
