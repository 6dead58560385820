"""What ends a call whose machine does not answer, and what a sweep says of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cloud.audit.models import AuditEvent
from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.dispatch import acceptance, books, progress, selectors, wake
from cloud.dispatch.acceptance import Accepted, Terms
from cloud.dispatch.models import OperationCall
from cloud.dispatch.requests import Sent
from cloud.tenancy import scope
from local_daemon.protocol import errors, limits
from relay.calls import Answer
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

CallHere = Callable[..., Accepted]


@pytest.fixture
def connector(acme: Tenant, make_connector: Callable[..., Connector]) -> Connector:
    machine = Machine()
    made = make_connector(acme, machine)
    opened = links.link_open(connector_id=made.id, link_owner=wake.PROCESS, link_channel=wake.CHANNEL)
    services.advertise_apply(connector_id=made.id, epoch=opened.epoch, advertised=machine.advertisement("one"))
    return made


@pytest.fixture
def call(acme: Tenant, connector: Connector) -> CallHere:
    principal = acme.principal()

    def make(*, key: str | None = None, here: str = wake.PROCESS, **terms: object) -> Accepted:
        return acceptance.call_accept(
            identify=lambda: principal,
            sent=Sent(operation="runs.create", parameters={}, query={}, body={"objective": "x"}, idempotency_key=key),
            project_id=str(acme.project.id),
            terms=Terms(**terms),  # type: ignore[arg-type]
            here=here,
        )

    return make


def row_of(tenant: Tenant, accepted: Accepted) -> OperationCall:
    with scope.organization(tenant.id):
        return OperationCall.objects.get(id=accepted.call.call_id)


def told(tenant: Tenant) -> list[tuple[str, str]]:
    with scope.organization(tenant.id):
        rows = AuditEvent.objects.filter(event_type__startswith="call:").order_by("id")
        return list(rows.values_list("event_type", "outcome"))


def make_due(tenant: Tenant) -> None:
    with scope.organization(tenant.id):
        OperationCall.objects.update(deadline_at=datetime.now(UTC) - timedelta(seconds=1))


def test_a_call_is_recorded_as_sent_before_it_leaves(acme: Tenant, call: CallHere) -> None:
    accepted = call()
    assert accepted.next is acceptance.Next.HERE
    assert row_of(acme, accepted).state == "sent"


def test_a_call_for_another_process_waits_to_be_taken_once(acme: Tenant, connector: Connector, call: CallHere) -> None:
    accepted = call(here="another process")
    assert row_of(acme, accepted).state == "accepted"
    taken = [
        progress.calls_take(organization_id=str(acme.id), connector_id=str(connector.id), epoch=1, limit=10)
        for _ in range(2)
    ]
    assert [[found.call_id for found in calls] for calls in taken] == [[accepted.call.call_id], []]
    assert taken[0][0].body == {"objective": "x"}


def test_never_sent_and_due_is_expired_and_surely_not_executed(acme: Tenant, call: CallHere) -> None:
    accepted = call(here="another process")
    make_due(acme)
    progress.calls_sweep()
    assert row_of(acme, accepted).state == "expired"
    assert told(acme) == [("call:accepted", "ok"), ("call:expired", "error")]
    answer = selectors.answer_find(accepted.call.call_id)
    with pytest.raises(errors.ConnectorOffline):
        assert answer is not None
        answer.raised()


def test_once_sent_and_due_is_unresolved_even_while_it_waits_for_another_link(
    acme: Tenant, connector: Connector, call: CallHere
) -> None:
    accepted = call()
    progress.calls_link_lost(organization_id=str(acme.id), connector_id=str(connector.id), epoch=1)
    assert row_of(acme, accepted).state == "accepted"
    make_due(acme)
    progress.calls_sweep()
    assert row_of(acme, accepted).state == "unresolved"
    assert told(acme)[-1] == ("call:unresolved", "unknown")


def test_a_sweep_says_when_the_next_call_is_due(call: CallHere) -> None:
    assert progress.calls_sweep() is None
    accepted = call()
    assert progress.calls_sweep() == accepted.call.deadline_at


def test_an_answer_is_recorded_once(acme: Tenant, connector: Connector, call: CallHere) -> None:
    accepted = call()
    recorded = [
        progress.call_answer(
            organization_id=str(acme.id),
            connector_id=str(connector.id),
            call_id=accepted.call.call_id,
            answer=Answer(status=status, body={"n": status}),
        )
        for status in (201, 200)
    ]
    assert recorded == [True, False]
    assert row_of(acme, accepted).answer_status == 201
    assert told(acme) == [("call:accepted", "ok"), ("call:answered", "ok")]


def test_a_link_that_fell_silent_is_put_offline_and_its_calls_wait(
    acme: Tenant, connector: Connector, call: CallHere
) -> None:
    accepted = call()
    with scope.operator():
        Connector.objects.update(last_seen_at=datetime.now(UTC) - timedelta(seconds=limits.LINK_SILENCE_S + 1))
    books._sweep()
    assert row_of(acme, accepted).state == "accepted"
    with scope.operator():
        assert Connector.objects.get().link_owner == ""
    with pytest.raises(errors.ConnectorOffline):
        call()


def test_a_key_is_free_again_after_its_published_time(acme: Tenant, call: CallHere) -> None:
    first = call(key="once")
    with scope.organization(acme.id):
        OperationCall.objects.update(accepted_at=datetime.now(UTC) - timedelta(seconds=limits.IDEMPOTENCY_S + 1))
    assert call(key="once").call.call_id != first.call.call_id


def test_a_queued_call_outlives_the_deadline_of_one_that_is_waited_for(acme: Tenant, call: CallHere) -> None:
    accepted = call(here="another process", respond_async=True)
    assert accepted.call.deadline_at > datetime.now(UTC) + timedelta(hours=1)


def test_an_answer_that_the_database_cannot_hold_as_json_is_kept(
    acme: Tenant, connector: Connector, call: CallHere
) -> None:
    accepted = call(key="once")
    progress.call_answer(
        organization_id=str(acme.id),
        connector_id=str(connector.id),
        call_id=accepted.call.call_id,
        answer=Answer(status=200, body={"text": "a\x00\ud800b"}),
    )
    again = call(key="once")
    assert again.answer is not None
    assert again.answer.body == {"text": "a\x00\ud800b"}
