from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.audit.models import AuditEvent
from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.operations import table
from cloud.permissions.roles import Role
from cloud.schedules import audit_rollups
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids, operations
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.operations.asking import perform
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

NOBODY = ids.new_uuid7()


def test_no_cloud_operation_has_a_machine_operations_name_or_path() -> None:
    cloud = {row.operation.name for row in table.TABLE.values()}
    assert not cloud & set(operations.OPERATIONS)
    routes = [(row.operation.method, row.operation.path) for row in table.TABLE.values()]
    assert len(set(routes)) == len(routes)


def _names_schedule(name: str) -> bool:
    return name.startswith("schedules.") and name not in ("schedules.list", "schedules.create")


@pytest.mark.parametrize("name", table.TABLE)
def test_each_operation_is_refused_without_its_scope(acme: Tenant, name: str) -> None:
    needed = table.TABLE[name].operation.scope
    principal = acme.principal()
    without = type(principal)(
        kind=principal.kind,
        id=principal.id,
        organization_id=acme.id,
        label="x",
        scopes=frozenset(Scope) - {needed},
    )
    arguments = {
        "connectors.get": {"connector_id": str(ids.new_uuid7())},
        "schedules.create": {
            "project_id": str(acme.project.id),
            "name": "nightly",
            "objective": "Keep up.",
            "tasks": [{"goal": "Try it.", "executor": "codex"}],
            "cron": "0 3 * * *",
        },
    }.get(name, {"schedule_id": str(ids.new_uuid7())} if _names_schedule(name) else {})
    with pytest.raises(errors.Forbidden, match=needed):
        table.perform(name, principal=without, arguments=arguments)


def test_projects_are_listed_with_where_they_are(
    acme: Tenant, globex: Tenant, make_connector: Callable[..., Connector]
) -> None:
    machine = Machine()
    connector = make_connector(acme, machine)
    link = links.link_open(connector_id=connector.id, link_owner="process-1")
    services.advertise_apply(connector_id=connector.id, epoch=link.epoch, advertised=machine.advertisement("one"))
    (project,) = perform(acme, "projects.list")["items"]
    assert (project["project_id"], project["workspace"]) == (str(acme.project.id), "main")
    (place,) = project["locations"]
    assert (place["repository"], place["machine"], place["is_online"]) == ("one", "builder", True)
    (found,) = perform(acme, "connectors.list")["items"]
    assert (found["is_online"], found["project_ids"]) == (True, [str(acme.project.id)])


def test_tokens_are_listed_without_their_secrets(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    token, secret = make_token(make_member(acme, Role.ORG_ADMIN))
    (listed,) = perform(acme, "tokens.list")["items"]
    assert (listed["token_id"], listed["name"]) == (str(token.id), "planner")
    assert secret not in str(listed)


def test_the_audit_is_read_page_by_page_newest_first(acme: Tenant) -> None:
    first = perform(acme, "audit.events", limit=2)
    assert [row["event_type"] for row in first["items"]] == ["project:created", "workspace:created"]
    second = perform(acme, "audit.events", limit=2, cursor=first["next_cursor"])
    assert [row["event_type"] for row in second["items"]] == ["organization:created"]
    assert second["next_cursor"] is None
    with pytest.raises(errors.InvalidRequest):
        perform(acme, "audit.events", cursor="nonsense")


def test_the_audit_of_a_project_is_all_that_one_bound_to_it_reads(acme: Tenant) -> None:
    bound = acme.principal(project_ids=frozenset({acme.project.id}))
    page = table.perform("audit.events", principal=bound, arguments={}).model_dump()
    assert [row["event_type"] for row in page["items"]] == ["project:created"]
    with pytest.raises(errors.Forbidden):
        table.perform("audit.rollup", principal=bound, arguments={})


def test_counts_are_those_the_worker_made(acme: Tenant) -> None:
    assert perform(acme, "audit.rollup") == {"items": [], "counted_at": None}
    audit_rollups.run()
    page = perform(acme, "audit.rollup", period="day")
    assert sum(row["count"] for row in page["items"]) == 3
    assert page["counted_at"][:13] == datetime.now(UTC).isoformat()[:13]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("projects.list", {"surprise": 1}),
        ("schedules.pause", {"schedule_id": "../1"}),
        ("audit.events", {"limit": 100000}),
        ("audit.rollup", {"period": "century"}),
        ("schedules.list", {"project_id": "$(id)"}),
    ],
)
def test_bad_input_names_its_fields(acme: Tenant, name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest) as told:
        perform(acme, name, **arguments)
    assert told.value.attributes["errors"][0]["field"]


def test_what_is_not_in_the_table_is_not_offered(acme: Tenant) -> None:
    with pytest.raises(errors.UnsupportedOperation):
        table.perform("steps.submit", principal=acme.principal(), arguments={})


def test_another_tenants_project_does_not_exist(acme: Tenant, globex: Tenant) -> None:
    with pytest.raises(errors.NotFound):
        perform(acme, "schedules.list", project_id=str(globex.project.id))


DENIED = {
    "no such schedule": ("schedules.pause", {"schedule_id": str(NOBODY)}, "not_found"),
    "no such project": ("schedules.list", {"project_id": str(NOBODY)}, "not_found"),
    "a part of the organization only": ("audit.rollup", {}, "forbidden"),
}


@pytest.mark.parametrize(("name", "arguments", "code"), DENIED.values(), ids=DENIED.keys())
def test_a_denial_is_audited_whoever_says_it(acme: Tenant, name: str, arguments: dict[str, str], code: str) -> None:
    bound = acme.principal(project_ids=frozenset({acme.project.id}))
    with pytest.raises((errors.NotFound, errors.Forbidden)):
        table.perform(name, principal=bound, arguments=arguments, client_address="192.0.2.7")
    with scope.organization(acme.id):
        told = AuditEvent.objects.get(event_type="call:denied")
    assert (told.actor_id, told.outcome, told.client_address) == (str(bound.id), "error", "192.0.2.7")
    assert told.details == {"operation": name, "code": code, **arguments}


def test_what_is_refused_for_another_reason_is_no_denial(acme: Tenant) -> None:
    with pytest.raises(errors.InvalidRequest):
        perform(acme, "audit.events", cursor="nonsense")
    with scope.organization(acme.id):
        assert not AuditEvent.objects.filter(event_type="call:denied").exists()
