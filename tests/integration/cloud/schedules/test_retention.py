"""What is old enough goes, in batches that tell the audit; what somebody may still be told stays."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session

from cloud.access.principals import Principal
from cloud.audit.models import AuditEvent
from cloud.connectors import links, presence, services
from cloud.connectors.models import Connector, Location, Presence
from cloud.dispatch import acceptance, progress, wake
from cloud.dispatch import retention as calls
from cloud.dispatch.acceptance import Accepted, Terms
from cloud.dispatch.models import OperationCall
from cloud.dispatch.requests import Sent
from cloud.limits.models import Usage
from cloud.runs import retention as feed
from cloud.runs.models import RunEvent
from cloud.schedules import retention, runner
from cloud.tenancy import scope, selectors
from local_daemon.protocol import ids
from local_daemon.protocol.ids import IdPrefix
from relay.calls import Answer
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

OLD = datetime(2026, 1, 2, tzinfo=UTC)
Ask = Callable[..., Accepted]


@pytest.fixture
def connector(acme: Tenant, make_connector: Callable[..., Connector]) -> Connector:
    machine = Machine()
    made = make_connector(acme, machine)
    opened = links.link_open(connector_id=made.id, link_owner=wake.PROCESS, link_channel=wake.CHANNEL)
    services.advertise_apply(connector_id=made.id, epoch=opened.epoch, advertised=machine.advertisement("one"))
    return made


@pytest.fixture
def planner(acme: Tenant) -> Principal:
    return acme.principal()


@pytest.fixture
def ask(acme: Tenant, connector: Connector, planner: Principal) -> Ask:
    def make(key: str | None = None, *, objective: str = "a secret plan") -> Accepted:
        return acceptance.call_accept(
            identify=lambda: planner,
            sent=Sent(
                operation="runs.create", parameters={}, query={}, body={"objective": objective}, idempotency_key=key
            ),
            project_id=str(acme.project.id),
            terms=Terms(),
            here=wake.PROCESS,
        )

    return make


def answer(tenant: Tenant, connector: Connector, accepted: Accepted) -> None:
    given = Answer(status=200, body={"told": "a secret result"})
    assert progress.call_answer(
        organization_id=str(tenant.id), connector_id=str(connector.id), call_id=accepted.call.call_id, answer=given
    )


def make_old(tenant: Tenant, accepted: Accepted, *, at: datetime = OLD) -> None:
    with scope.organization(tenant.id):
        OperationCall.objects.filter(id=accepted.call.call_id).update(accepted_at=at)


def said(tenant: Tenant, accepted: Accepted) -> tuple[str, str]:
    with scope.organization(tenant.id):
        return OperationCall.objects.values_list("request", "answer").get(id=accepted.call.call_id)


def told(tenant: Tenant) -> list[tuple[str, int]]:
    with scope.organization(tenant.id):
        rows = AuditEvent.objects.filter(event_type="retention:applied").order_by("id")
        return [(row.target_kind, row.details["count"]) for row in rows]


def test_what_an_old_call_said_goes_and_that_it_was_made_stays(acme: Tenant, connector: Connector, ask: Ask) -> None:
    accepted = ask("key")
    answer(acme, connector, accepted)
    make_old(acme, accepted)
    assert runner.run("retention") == "1 calls, 0 run events, 0 presence"
    assert said(acme, accepted) == ("", "")
    with scope.organization(acme.id):
        row = OperationCall.objects.get(id=accepted.call.call_id)
    assert (row.operation, row.state, row.answer_status) == ("runs.create", "answered", 200)
    assert told(acme) == [("call", 1)]
    assert retention.run() == "0 calls, 0 run events, 0 presence"
    assert told(acme) == [("call", 1)], "nothing went, so nothing is told"


def test_a_repeated_call_is_told_its_answer_as_long_as_was_promised(
    acme: Tenant, connector: Connector, ask: Ask
) -> None:
    accepted = ask("key")
    answer(acme, connector, accepted)
    make_old(acme, accepted, at=datetime.now(UTC) - timedelta(hours=23, minutes=50))
    retention.run()
    again = ask("key")
    assert (again.call.call_id, again.next) == (accepted.call.call_id, acceptance.Next.DONE)
    assert again.answer is not None
    assert again.answer.body == {"told": "a secret result"}


def test_no_setting_forgets_calls_before_that(acme: Tenant, settings: object, connector: Connector, ask: Ask) -> None:
    settings.CALL_CONTENT_RETENTION_DAYS = 1  # type: ignore[attr-defined]
    young, old = ask(), ask()
    for age, accepted in ((timedelta(hours=47), young), (timedelta(hours=49), old)):
        answer(acme, connector, accepted)
        make_old(acme, accepted, at=datetime.now(UTC) - age)
    assert retention.run() == "1 calls, 0 run events, 0 presence"
    assert [bool(said(acme, accepted)[0]) for accepted in (young, old)] == [True, False]
    with scope.organization(acme.id), pytest.raises(ValueError, match="48 hours"):
        calls.calls_empty(acme.id, before=datetime.now(UTC) - timedelta(days=1))


def test_one_organizations_trouble_holds_up_no_other(
    acme: Tenant, globex: Tenant, connector: Connector, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = ask()
    answer(acme, connector, accepted)
    make_old(acme, accepted)
    empty = calls.calls_empty

    def fail_elsewhere(org_id: UUID, *, before: datetime) -> int:
        if org_id != acme.id:
            raise RuntimeError
        return empty(org_id, before=before)

    monkeypatch.setattr(calls, "calls_empty", fail_elsewhere)
    monkeypatch.setattr(selectors, "organization_ids", lambda: [globex.id, acme.id])
    assert retention.run() == "1 calls, 0 run events, 0 presence"
    assert said(acme, accepted) == ("", "")


def test_who_has_much_to_let_go_does_not_keep_another_waiting(
    acme: Tenant, globex: Tenant, make_connector: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (acme, globex):
        connected = make_connector(tenant)
        with scope.organization(tenant.id):
            Presence.objects.bulk_create(
                Presence(organization_id=tenant.id, connector=connected, is_online=True, at=OLD, epoch=0)
                for _ in range(3)
            )
    one_at_a_time = partial(presence.presence_prune, limit=1)
    monkeypatch.setattr(presence, "presence_prune", one_at_a_time)
    # Time for one turn a run: each of the two has three, one a kind.
    monkeypatch.setattr(retention, "LONGEST_S", 0.0)
    for _ in range(6):
        runner.run("retention")
    assert [told(tenant) for tenant in (acme, globex)] == [[("presence", 1)], [("presence", 1)]]


def test_an_open_call_keeps_what_its_machine_is_to_be_told(acme: Tenant, ask: Ask) -> None:
    waiting = ask()
    make_old(acme, waiting)
    retention.run()
    assert "a secret plan" in said(acme, waiting)[0]


def test_an_answer_that_came_late_goes_too(acme: Tenant, connector: Connector, ask: Ask) -> None:
    late = ask()
    make_old(acme, late)
    with scope.organization(acme.id):
        OperationCall.objects.update(state="unresolved")
    retention.run()
    answer(acme, connector, late)
    assert said(acme, late)[1]
    retention.run()
    assert said(acme, late) == ("", "")


def test_the_oldest_calls_go_first_batch_by_batch(acme: Tenant, connector: Connector, ask: Ask) -> None:
    made = [ask(), ask(), ask()]
    for age, accepted in enumerate(made):
        answer(acme, connector, accepted)
        make_old(acme, accepted, at=OLD - timedelta(days=age))
    before = datetime.now(UTC) - calls.AGE_MIN
    with scope.organization(acme.id):
        assert calls.calls_empty(acme.id, before=before, limit=2) == 2
    assert [bool(said(acme, accepted)[0]) for accepted in made] == [True, False, False]
    with scope.organization(acme.id):
        assert calls.calls_empty(acme.id, before=before, limit=2) == 1
        assert calls.calls_empty(acme.id, before=before, limit=2) == 0
    assert told(acme) == [("call", 2), ("call", 1)]


def test_what_other_tenants_said_is_out_of_reach(acme: Tenant, globex: Tenant, connector: Connector, ask: Ask) -> None:
    accepted = ask()
    answer(acme, connector, accepted)
    make_old(acme, accepted)
    before = datetime.now(UTC) - calls.AGE_MIN
    with scope.organization(globex.id):
        assert calls.calls_empty(acme.id, before=before) == 0
    assert said(acme, accepted)[0]


def happened(tenant: Tenant, *taken_in_at: datetime, **facts: Any) -> list[int]:
    """Events of one machine, in the order in which they came."""
    log_id, given = ids.new_id(IdPrefix.LOG), {"event_type": "run.created", "at": OLD, "record": {}, **facts}
    with scope.organization(tenant.id):
        location = Location.objects.get()
        return [
            RunEvent.objects.create(
                organization_id=tenant.id, project=tenant.project, location=location, log_id=log_id, seq=seq,
                taken_in_at=at, **given,
            ).id
            for seq, at in enumerate(taken_in_at)
        ]  # fmt: skip


def kept(tenant: Tenant) -> list[int]:
    with scope.organization(tenant.id):
        return list(RunEvent.objects.order_by("id").values_list("id", flat=True))


def test_old_events_of_the_feed_go_and_young_ones_stay(acme: Tenant, connector: Connector) -> None:
    made = happened(acme, OLD, OLD, OLD, datetime.now(UTC))
    with scope.organization(acme.id):
        assert feed.feed_prune(acme.id, before=OLD + timedelta(days=1), through=made[-1], limit=2) == 2
    assert retention.run() == "0 calls, 1 run events, 0 presence"
    assert kept(acme) == made[-1:]
    assert told(acme) == [("run_event", 2), ("run_event", 1)]


def test_a_machines_own_clock_neither_keeps_its_events_nor_lets_them_go(acme: Tenant, connector: Connector) -> None:
    happened(acme, OLD, OLD, at=datetime(2099, 1, 1, tzinfo=UTC))
    young = happened(acme, datetime.now(UTC), at=datetime(1999, 1, 1, tzinfo=UTC))
    assert retention.run() == "0 calls, 2 run events, 0 presence"
    assert kept(acme) == young


def test_what_an_event_says_of_cost_is_counted_before_it_goes(acme: Tenant, connector: Connector) -> None:
    spent = {"data": {"attempt": {"state": "recorded", "usage": {"cost_usd": 12.5}}}}
    happened(acme, OLD, event_type="attempt.changed", record=spent)
    assert retention.run() == "0 calls, 1 run events, 0 presence"
    with scope.organization(acme.id):
        assert list(Usage.objects.values_list("kind", "amount")) == [("cost_micros", 12_500_000)]


def test_an_event_whose_cost_is_not_counted_yet_stays(acme: Tenant, connector: Connector) -> None:
    first, second = happened(acme, OLD, OLD)
    with scope.organization(acme.id):
        assert feed.feed_prune(acme.id, before=datetime.now(UTC), through=first) == 1
    assert kept(acme) == [second]


def test_old_presence_goes_but_never_a_machines_last_change(acme: Tenant, connector: Connector) -> None:
    links.link_close(connector.id, 1)
    with scope.organization(acme.id):
        Presence.objects.update(at=OLD)
    assert retention.run() == "0 calls, 0 run events, 1 presence"
    assert retention.run() == "0 calls, 0 run events, 0 presence"
    with scope.organization(acme.id):
        assert list(Presence.objects.values_list("is_online", flat=True)) == [False]
    assert told(acme) == [("presence", 1)]


def test_nothing_goes_where_the_installation_keeps_everything(
    acme: Tenant, settings: object, connector: Connector, ask: Ask
) -> None:
    accepted = ask()
    answer(acme, connector, accepted)
    make_old(acme, accepted)
    for name in ("CALL_CONTENT_RETENTION_DAYS", "FEED_RETENTION_DAYS", "PRESENCE_RETENTION_DAYS"):
        setattr(settings, name, 0)
    assert retention.run() == "0 calls, 0 run events, 0 presence"
    assert said(acme, accepted)[0]


def test_sessions_that_are_over_go(db: None) -> None:
    engine = import_module(settings.SESSION_ENGINE)
    over, open_one = engine.SessionStore(), engine.SessionStore()
    for session in (over, open_one):
        session.create()
    Session.objects.filter(session_key=over.session_key).update(expire_date=OLD)
    retention.run()
    assert list(Session.objects.values_list("session_key", flat=True)) == [open_one.session_key]
