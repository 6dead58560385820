"""The audit, as a planner is told of it."""

from datetime import UTC, datetime, timedelta

import pytest

from cloud.audit import seal
from cloud.operations import audit
from cloud.tenancy import scope
from local_daemon.protocol import errors
from tests.integration.cloud.operations.asking import answered, perform
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def types(tenant: Tenant, **asked: object) -> list[str]:
    return [row["event_type"] for row in perform(tenant, "audit.events", **asked)["items"]]


def test_events_are_those_that_fit_all_that_is_named(acme: Tenant) -> None:
    now = datetime.now(UTC)
    assert types(acme, project_id=str(acme.project.id)) == ["project:created"]
    assert types(acme, event_type="workspace:created") == ["workspace:created"]
    assert types(acme, event_type="workspace:created", project_id=str(acme.project.id)) == []
    assert types(acme, target_id=str(acme.id)) == ["organization:created"]
    assert types(acme, actor_id="nobody") == types(acme, call_id="call_none") == types(acme, failed_only=True) == []
    assert types(acme, until=(now - timedelta(hours=1)).isoformat()) == []
    assert len(types(acme, since=(now - timedelta(hours=1)).isoformat())) == 3


def test_one_bound_to_a_project_reads_no_other_by_naming_it(acme: Tenant, globex: Tenant) -> None:
    bound = acme.principal(project_ids=frozenset())
    with pytest.raises(errors.NotFound):
        answered(bound, "audit.events", project_id=str(acme.project.id))
    with pytest.raises(errors.NotFound):
        perform(globex, "audit.events", project_id=str(acme.project.id))


def test_the_chain_says_how_far_it_goes_and_what_waits(acme: Tenant) -> None:
    assert perform(acme, "audit.chain")["unsealed"] == 3
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id, is_complete=True)
    told = perform(acme, "audit.chain")
    assert (told["head_seq"], told["unsealed"], told["is_late"]) == (3, 0, False)
    assert told["checkpoint"]["seq"] == 3
    assert told["checkpoint"]["hash"] == told["head_hash"]


def test_the_chain_is_walked_when_asked_for(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id, is_complete=True)
    told = perform(acme, "audit.verify")
    assert (told["ok"], told["sealed"], told["first_bad"]) == (True, 3, None)
    monkeypatch.setattr(audit, "VERIFIED_LINKS_MAX", 2)
    with pytest.raises(errors.PayloadTooLarge, match="cloudctl audit verify"):
        perform(acme, "audit.verify")


@pytest.mark.parametrize("operation", ["audit.chain", "audit.verify", "audit.rollup"])
def test_what_is_of_the_whole_organization_is_for_who_reaches_it(acme: Tenant, operation: str) -> None:
    with pytest.raises(errors.Forbidden):
        answered(acme.principal(project_ids=frozenset({acme.project.id})), operation)
