"""What a page reads of the lists that grow without end: what it tells, whatever it is asked for."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from cloud.audit.models import AuditEvent
from cloud.config import database_url
from cloud.connectors.models import Location
from cloud.dispatch.models import OperationCall
from cloud.rest import routes
from cloud.runs.models import GateSnapshot, RunSnapshot, StepSnapshot
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Project
from local_daemon.protocol import ids, states
from tests.integration.cloud.conftest import MakeCode
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.rest.places import machine_share, work_make
from tests.integration.cloud.tenants import Tenant

# The planner's own statistics decide, and only the owner has them made, of what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

TABLES: dict[str, type[Model]] = {
    "/runs": RunSnapshot,
    "/steps": StepSnapshot,
    "/gates": GateSnapshot,
    "/calls": OperationCall,
    "/audit": AuditEvent,
}
Filters = dict[str, dict[str, tuple[str, ...]]]
"""By list and parameter."""
MANY = 600
LIMIT = 5
UNINDEXED = {"/runs": {"search"}}
"""A part of a title may stand anywhere in it: runs are looked through, newest first, until the page is full."""


@pytest.fixture
def found(acme: Tenant, make_code: MakeCode) -> Filters:
    """What finds the oldest of each kind, of which there are many newer ones, and what finds those."""
    rare = machine_share(make_code(acme))
    known = work_make(acme, rare)
    with scope.organization(acme.id):
        OperationCall.objects.update(operation="gates.decide", state="expired", principal_id="somebody")
        RunSnapshot.objects.update(state=states.RunState.FAILED)
        GateSnapshot.objects.update(state=states.GateState.EXPIRED)
        project, _ = tenancy.project_ensure(workspace=acme.workspace, name="busy", actor=None)
        event = _event(
            acme, event_type="gate:decided", project_id=acme.project.id, actor_id="somebody", target_id="one"
        )
        event.outcome, event.target_id, event.call_id = "error", "one", known["call_id"]
        AuditEvent.objects.bulk_create([event])
        _fill(acme, project, rare)
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"]), autocommit=True) as database:
        database.execute("ANALYZE")
    projects = (str(acme.project.id), str(project.id))
    before = (datetime.now(UTC) - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    return {
        "/runs": {"project_id": projects, "state": ("failed", "completed")},
        "/steps": {"project_id": projects, "run_id": (known["run_id"],), "state": ("waiting", "completed")},
        "/gates": {"project_id": projects, "state": ("expired", "approved")},
        "/calls": {
            "project_id": projects, "operation": ("gates.decide", "runs.create"), "state": ("expired", "answered"),
            "actor_id": ("somebody", "planner"),
        },
        "/audit": {
            "project_id": projects, "event_type": ("gate:decided", "call:answered"),
            "actor_id": ("somebody", "planner"), "target_id": ("one",), "call_id": (known["call_id"],),
            "failed_only": ("true",), "until": (before,), "since": (before,),
        },
    }  # fmt: skip


def _event(tenant: Tenant, **facts: Any) -> AuditEvent:
    return AuditEvent(organization_id=tenant.id, at=datetime.now(UTC), actor_kind="token", target_kind="call", **facts)


def _fill(tenant: Tenant, project: Project, location: Location) -> None:
    """Newer ones, in another project and as they usually are."""
    now = datetime.now(UTC)
    where: dict[str, Any] = {"organization_id": tenant.id, "project": project, "location": location}
    heard: dict[str, Any] = {**where, "as_of": now, "seq": 1, "view": {}}
    run, step, gate, call = (
        [ids.new_id(prefix) for _ in range(MANY)]
        for prefix in (ids.IdPrefix.RUN, ids.IdPrefix.STEP, ids.IdPrefix.GATE, ids.IdPrefix.CALL)
    )
    RunSnapshot.objects.bulk_create(RunSnapshot(**heard, run_id=run_id, state="completed") for run_id in run)
    StepSnapshot.objects.bulk_create(
        StepSnapshot(**heard, run_id=run_id, step_id=step_id, state="completed")
        for run_id, step_id in zip(run, step, strict=True)
    )
    GateSnapshot.objects.bulk_create(
        GateSnapshot(**heard, run_id=run_id, gate_id=gate_id, kind="after", state="approved", expires_at=now)
        for run_id, gate_id in zip(run, gate, strict=True)
    )
    OperationCall.objects.bulk_create(
        OperationCall(
            **where, id=call_id, connector_id=location.instance.connector_id, operation="runs.create",
            principal_kind="token", principal_id="planner", request_sha256="0" * 64, state="answered", sent_at=now,
            accepted_at=now, deadline_at=now,
        )
        for call_id in call
    )  # fmt: skip
    AuditEvent.objects.bulk_create(
        _event(tenant, event_type="call:answered", project_id=project.id, actor_id="planner", target_id=call_id)
        for call_id in call
    )


def rows_read(api: Api, path: str, table: type[Model], organization_id: UUID) -> int:
    """How many rows of its table a page looks at."""
    with CaptureQueriesContext(connection) as captured:
        api.get(path)
    name = table._meta.db_table
    (sent,) = [query["sql"] for query in captured if f'FROM "{name}"' in query["sql"] and "LIMIT" in query["sql"]]
    # The scope may have travelled in front of it.
    page = sent.rpartition("; ")[2]
    with scope.organization(organization_id), transaction.atomic(), connection.cursor() as cursor:
        # So few rows would be read whole sooner than by an index.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {page}")
        plan = cursor.fetchone()[0]
    (whole,) = json.loads(plan) if isinstance(plan, str) else plan
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in _nodes(whole["Plan"])
        if node.get("Relation Name") == name
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def test_a_page_reads_what_it_tells_whatever_it_is_asked_for(owner: Api, acme: Tenant, found: Filters) -> None:
    read: dict[str, int] = {}
    for path, filters in found.items():
        asked = [f"{path}?limit={LIMIT}"]
        asked += [f"{asked[0]}&{name}={value}" for name, values in filters.items() for value in values]
        read |= {page: rows_read(owner, page, TABLES[path], acme.id) for page in asked}
    assert {asked: rows for asked, rows in read.items() if rows > 2 * LIMIT} == {}


def test_every_filter_of_the_lists_that_grow_is_tried(found: Filters) -> None:
    offered = {
        endpoint.path: set(endpoint.query.model_fields) - {"limit", "cursor"} - UNINDEXED.get(endpoint.path, set())
        for endpoint in routes.ENDPOINTS
        if endpoint.method == "GET" and endpoint.path in TABLES and endpoint.query
    }
    assert {path: set(filters) for path, filters in found.items()} == offered
