"""What was begun is told again by its key, though nothing new may be begun."""

from datetime import UTC, datetime

import pytest

from cloud.audit.models import AuditEvent
from cloud.connectors.models import Connector
from cloud.dispatch import acceptance, progress
from cloud.dispatch.acceptance import Accepted
from cloud.dispatch.models import OperationCall
from cloud.limits import standings
from cloud.limits.models import Usage
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from relay.calls import Answer
from tests.integration.cloud.limits.conftest import Call, SetLimits
from tests.integration.cloud.tenants import Tenant


def spend(tenant: Tenant) -> None:
    """As much as the month allows."""
    with scope.organization(tenant.id):
        Usage.objects.create(organization_id=tenant.id, kind="cost_micros", day=datetime.now(UTC).date(), amount=10**7)
    standings.standings_forget()


def answer(tenant: Tenant, connector: Connector, accepted: Accepted, given: Answer) -> None:
    assert progress.call_answer(
        organization_id=str(tenant.id), connector_id=str(connector.id), call_id=accepted.call.call_id, answer=given
    )


def begun() -> Answer:
    return Answer(status=200, body={"run": {"run_id": ids.new_id(ids.IdPrefix.RUN)}, "created": True})


def test_a_repeated_key_is_told_its_answer_though_the_month_is_spent(
    acme: Tenant, connector: Connector, call: Call, limit_all: SetLimits
) -> None:
    limit_all(cost_micros_per_month=10**7)
    accepted = call("runs.create", key="once")
    answer(acme, connector, accepted, begun())
    spend(acme)
    again = call("runs.create", key="once")
    assert (again.call.call_id, again.next) == (accepted.call.call_id, acceptance.Next.DONE)
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create", key="another")
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create")
    with scope.organization(acme.id):
        assert OperationCall.objects.count() == 1
        assert AuditEvent.objects.filter(event_type="call:accepted").count() == 1


def test_a_call_that_is_under_way_is_joined_though_the_month_is_spent(
    acme: Tenant, connector: Connector, call: Call, limit_all: SetLimits
) -> None:
    limit_all(cost_micros_per_month=10**7)
    accepted = call("runs.create", key="once")
    spend(acme)
    again = call("runs.create", key="once")
    assert (again.call.call_id, again.next) == (accepted.call.call_id, acceptance.Next.ELSEWHERE)


def test_what_would_go_again_is_new_work_and_refused(
    acme: Tenant, connector: Connector, call: Call, limit_all: SetLimits
) -> None:
    limit_all(cost_micros_per_month=10**7)
    accepted = call("runs.create", key="once")
    answer(acme, connector, accepted, Answer.refusal(errors.ConnectorOffline(retry_after_s=1)))
    spend(acme)
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create", key="once")


def test_repeating_a_key_counts_as_a_call(acme: Tenant, connector: Connector, call: Call, limit_all: SetLimits) -> None:
    limit_all(cost_micros_per_month=10**7, calls_per_minute=1, calls_burst=2)
    answer(acme, connector, call("runs.create", key="once"), begun())
    with scope.organization(acme.id):
        Usage.objects.create(organization_id=acme.id, kind="cost_micros", day=datetime.now(UTC).date(), amount=10**7)
    standings.standings_forget()
    call("runs.create", key="once")
    with pytest.raises(errors.RateLimited):
        call("runs.create", key="once")
