"""How many runs are under way, from the call that starts one to the news that it ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.connectors.models import Connector, Location
from cloud.dispatch import acceptance, progress
from cloud.dispatch.acceptance import Accepted
from cloud.limits import run_starts
from cloud.limits.models import RunStart
from cloud.runs.models import RunSnapshot
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from relay.calls import Answer
from tests.integration.cloud.limits.conftest import Call, SetLimits
from tests.integration.cloud.tenants import Tenant


def answer(tenant: Tenant, connector: Connector, accepted: Accepted, body: Any, status: int = 201) -> None:
    told = Answer(status=status, body=body) if status < 400 else Answer(status=status, problem=body)
    assert progress.call_answer(
        organization_id=str(tenant.id), connector_id=str(connector.id), call_id=accepted.call.call_id, answer=told
    )


def under_way(tenant: Tenant) -> int:
    with scope.organization(tenant.id):
        return run_starts.runs_counted(organization_id=tenant.id)[None]


def hear_of(tenant: Tenant, run_id: str, state: str) -> None:
    with scope.organization(tenant.id):
        RunSnapshot.objects.update_or_create(
            location_id=Location.objects.get().id,
            run_id=run_id,
            defaults={
                "organization_id": tenant.id,
                "project_id": tenant.project.id,
                "state": state,
                "as_of": datetime.now(UTC),
                "seq": 1,
                "view": {},
            },
        )


@pytest.mark.parametrize("operation", sorted(run_starts.OPERATIONS))
def test_a_run_counts_from_its_call_until_the_cloud_hears_of_its_end(
    acme: Tenant, connector: Connector, call: Call, limit_all: SetLimits, operation: str
) -> None:
    limit_all(runs_at_once=1)
    run_id = ids.new_id(ids.IdPrefix.RUN)
    accepted = call(operation)
    with pytest.raises(errors.QuotaExceeded, match="under way"):
        call("runs.create")
    answer(acme, connector, accepted, {"run": {"run_id": run_id}, "created": True})
    hear_of(acme, run_id, "running")
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create")
    hear_of(acme, run_id, "completed")
    call("runs.create")


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {"run": {"run_id": ids.new_id(ids.IdPrefix.RUN)}, "created": False}), (409, {"code": "invalid_transition"})],
    ids=["found by its name", "refused by the machine"],
)
def test_what_started_nothing_does_not_count(
    acme: Tenant, connector: Connector, call: Call, status: int, body: dict[str, Any]
) -> None:
    accepted = call("runs.create")
    assert under_way(acme) == 1
    answer(acme, connector, accepted, body, status)
    assert under_way(acme) == 0


def test_a_call_nobody_answered_counts_until_its_deadline(acme: Tenant, call: Call) -> None:
    call("runs.create")
    with scope.organization(acme.id):
        RunStart.objects.update(expires_at=datetime.now(UTC))
    assert under_way(acme) == 0


def test_a_repeated_key_is_told_its_answer_though_no_more_runs_may_start(
    acme: Tenant, connector: Connector, call: Call, limit_all: SetLimits
) -> None:
    limit_all(runs_at_once=1)
    accepted = call("runs.create", key="once")
    answer(acme, connector, accepted, {"run": {"run_id": ids.new_id(ids.IdPrefix.RUN)}, "created": True})
    again = call("runs.create", key="once")
    assert again.next is acceptance.Next.DONE
    assert again.call.call_id == accepted.call.call_id
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create", key="another")


def test_a_call_that_found_no_machine_starts_nothing(acme: Tenant, connector: Connector, call: Call) -> None:
    from cloud.connectors import links

    links.link_close(connector.id, 1)
    with pytest.raises(errors.ConnectorOffline):
        call("runs.create")
    assert under_way(acme) == 0
