"""What is counted, and that it is counted once."""

from datetime import UTC, datetime
from typing import Any

from cloud.access.principals import Principal
from cloud.connectors.models import Connector, Location
from cloud.dispatch import progress
from cloud.limits import selectors, usage
from cloud.limits.models import RunStart, Usage
from cloud.runs.models import RunEvent
from cloud.tenancy import scope
from local_daemon.protocol import envelopes, ids
from relay.calls import Answer
from tests.integration.cloud.limits.conftest import Call
from tests.integration.cloud.tenants import Tenant

RUN = ids.new_id(ids.IdPrefix.RUN)


def record(tenant: Tenant, seq: int, state: str, cost_usd: Any, run_id: str = RUN) -> None:
    attempt = {"state": state, "usage": {"cost_usd": cost_usd}}
    RunEvent.objects.create(
        organization_id=tenant.id,
        project_id=tenant.project.id,
        location_id=Location.objects.get().id,
        log_id="log_" + "0" * 26,
        seq=seq,
        event_type="attempt.changed",
        at=datetime.now(UTC),
        run_id=run_id,
        record={"data": {"attempt": attempt}},
    )


def test_an_attempts_cost_is_counted_once_and_charged_to_who_started_its_run(
    acme: Tenant, connector: Connector, planner: Principal
) -> None:
    with scope.organization(acme.id):
        RunStart.objects.create(
            call_id=ids.new_id(ids.IdPrefix.CALL),
            organization_id=acme.id,
            token_id=planner.id,
            run_id=RUN,
            started_at=datetime.now(UTC),
            expires_at=datetime.now(UTC),
        )
        record(acme, 1, "running", None)
        record(acme, 2, "recorded", 0.25)
        record(acme, 3, "recorded", 1, run_id=ids.new_id(ids.IdPrefix.RUN))
        assert [usage.cost_fold(acme.id), usage.cost_fold(acme.id)] == [3, 0]
        record(acme, 4, "recorded", 0.5)
        usage.cost_fold(acme.id)
        used = usage.used_by(organization_id=acme.id, subjects=[planner.id], now=datetime.now(UTC))
    assert [used[one].cost_micros_this_month for one in (None, planner.id)] == [1_750_000, 750_000]


def test_a_cost_that_is_no_amount_counts_as_nothing(acme: Tenant, connector: Connector) -> None:
    with scope.organization(acme.id):
        for seq, cost in enumerate(["12", None, -1, 10**12, [1]], start=1):
            record(acme, seq, "recorded", cost)
        assert usage.cost_fold(acme.id) == 5
        assert not Usage.objects.exists()


class Streamed:
    head = envelopes.StreamHead(media_type="text/plain", size_bytes=700)


def test_content_is_counted_by_what_is_handed_out(
    acme: Tenant, connector: Connector, call: Call, planner: Principal
) -> None:
    answers = [Answer(status=200, content=Streamed()), Answer(status=200, body={"text": "x" * 88})]  # type: ignore[arg-type]
    for told in answers:
        accepted = call("artifacts.content")
        assert progress.call_answer(
            organization_id=str(acme.id), connector_id=str(connector.id), call_id=accepted.call.call_id, answer=told
        )
    with scope.organization(acme.id):
        found = selectors.limit_use(organization_id=acme.id, token_id=planner.id)  # type: ignore[arg-type]
    assert found.artifact_bytes_today == 800
    assert found.calls_last_minute == 2


def test_no_tenant_sees_what_another_used(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id):
        usage.artifact_bytes_add(organization_id=acme.id, token_id=None, size_bytes=5, now=datetime.now(UTC))
    with scope.organization(globex.id):
        assert not Usage.objects.exists()
