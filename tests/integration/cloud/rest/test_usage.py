"""Usage and limits over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from cloud.limits import usage
from cloud.limits.models import Usage
from cloud.tenancy import scope
from local_daemon.protocol import ids
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_what_a_token_used_is_told_by_day(owner: Api, acme: Tenant) -> None:
    now, token_id = datetime.now(UTC), owner.get("/me")["id"]
    with scope.organization(acme.id):
        usage.artifact_bytes_add(organization_id=acme.id, token_id=token_id, size_bytes=300, now=now)
        usage.artifact_bytes_add(organization_id=acme.id, token_id=token_id, size_bytes=200, now=now)
    (row,) = owner.get("/usage")["items"]
    assert row == {"day": now.date().isoformat(), "kind": "artifact_bytes", "token_id": token_id, "amount": 500}
    assert owner.get("/limits")["artifact_bytes_today"] == 500
    assert owner.get("/usage?kind=cost_micros")["items"] == []
    assert owner.get(f"/usage?until={now.date().isoformat()}")["items"] == []


def test_days_are_paged_the_newest_first(owner: Api, acme: Tenant) -> None:
    today = datetime.now(UTC).date()
    with scope.organization(acme.id):
        for days in range(3):
            for _ in range(2):
                Usage.objects.create(
                    organization_id=acme.id, token_id=ids.new_uuid7(), kind="cost_micros",
                    day=today - timedelta(days=days), amount=days + 1,
                )  # fmt: skip
    seen, cursor = [], ""
    while cursor is not None:
        page = owner.get(f"/usage?limit=3{cursor and '&cursor=' + cursor}")
        seen += [(row["day"], row["token_id"]) for row in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 6
    assert [day for day, _ in seen] == sorted((day for day, _ in seen), reverse=True)


@pytest.mark.parametrize("by", ["project", "run", "token", "executor", "model"])
def test_what_work_cost_is_told_by_whatever_one_asks(owner: Api, acme: Tenant, by: str) -> None:
    found = owner.get(f"/usage/costs?by={by}&days=7&project_id={acme.project.id}")
    assert (found["items"], found["is_complete"]) == ([], True)


def test_the_organizations_limits_are_read_and_not_set(owner: Api) -> None:
    found = owner.get("/limits")
    assert (found["token_id"], found["version"], found["calls_last_minute"]) == (None, 0, 0)
    assert owner.ask("PUT", "/limits", {}).status_code == 405
