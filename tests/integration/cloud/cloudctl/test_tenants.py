"""`cloudctl` makes, lists, shows, changes and ends what tenants have, with a status that scripts can rely on."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.access import authentication
from cloud.audit.models import AuditEvent
from cloud.cloudctl import main
from cloud.connectors import enrollment, links, services
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import invitations, scope
from local_daemon.protocol import errors, ids
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.cloudctl, arguments, catch_exceptions=False)


def told(*arguments: str) -> Any:
    """What a program reads."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def in_acme(*arguments: str) -> Any:
    group, command, *rest = arguments
    return told(group, command, "--organization", "acme", *rest)


def test_an_organization_is_made_listed_shown_changed_and_ended(acme: Tenant) -> None:
    made = told("org", "create", "--name", "Initech")
    assert [row["slug"] for row in told("org", "list")["items"]] == ["acme", "initech"]
    assert told("org", "show", "initech")["organization_id"] == made["organization_id"]
    assert told("org", "update", "initech", "--name", "Initrode", "--version", "1")["version"] == 2
    assert told("org", "update", "initech", "--time-zone", "Asia/Tokyo")["time_zone"] == "Asia/Tokyo"
    assert [row["time_zone"] for row in told("org", "list")["items"]] == ["UTC", "Asia/Tokyo"]
    assert told("org", "suspend", "initech")["status"] == "suspended"
    assert told("org", "delete", "initech")["deletion_due_at"] is not None
    assert told("org", "resume", "initech")["status"] == "active"


def test_workspaces_and_projects_go_by_name(acme: Tenant) -> None:
    in_acme("workspace", "create", "--name", "Lab")
    made = in_acme("project", "create", "--workspace", "lab", "--name", "Compiler")
    assert [row["slug"] for row in in_acme("project", "list", "--workspace", "lab")["items"]] == ["compiler"]
    assert in_acme("project", "show", "lab/compiler")["project_id"] == made["project_id"]
    assert in_acme("project", "update", "compiler", "--slug", "cc")["slug"] == "cc"
    assert in_acme("project", "suspend", made["project_id"])["status"] == "suspended"
    assert in_acme("workspace", "delete", "lab")["status"] == "deleting"
    assert [row["slug"] for row in in_acme("workspace", "list", "--status", "active")["items"]] == ["main"]
    first = in_acme("project", "list", "--limit", "1")
    assert [row["slug"] for row in in_acme("project", "list", "--cursor", first["next_cursor"])["items"]] == ["cc"]
    with scope.organization(acme.id):
        assert {event.actor_label for event in AuditEvent.objects.filter(event_type="project:updated")} == {"cloudctl"}


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["org", "show", "nobody"], 3, "not_found"),
        (["project", "show", "--organization", "acme", "nothing"], 3, "not_found"),
        (["workspace", "create", "--organization", "acme", "--name", "!!"], 2, "invalid_request"),
        (["org", "update", "acme", "--name", "x", "--version", "7"], 5, "precondition_failed"),
        (["member", "show", "--organization", "acme", str(ids.new_uuid7())], 3, "not_found"),
        (["org", "show"], 2, None),
    ],
)
def test_a_failure_has_its_status_and_its_problem(
    acme: Tenant, arguments: list[str], status: int, code: str | None
) -> None:
    result = run(*arguments)
    assert result.exit_code == status
    if code is not None:
        assert json.loads(result.stderr)["code"] == code
        assert run(*arguments, "--table").stderr.startswith("Error: ")


def test_people_read_tables(acme: Tenant) -> None:
    lines = run("workspace", "list", "--organization", "acme", "--table").stdout.splitlines()
    assert lines[0].split()[:3] == ["workspace_id", "slug", "name"]
    assert lines[1].split()[1:4] == ["main", "main", "active"]
    assert run("invitation", "list", "--organization", "acme", "--table").stdout == "None.\n"


LISTS = (
    "workspace", "project", "member", "invitation", "token", "enroll-code", "connector", "instance", "location", "run",
    "gate", "schedule", "call", "audit",
)  # fmt: skip


def test_every_list_reads_as_a_table(acme: Tenant, globex: Tenant, make_member: MakeMember) -> None:
    make_member(acme, Role.ORG_OWNER)
    everything_make(acme)
    for noun in LISTS:
        result = run(noun, "list", "--organization", "acme", "--table", *(["--all"] if noun == "gate" else []))
        assert result.exit_code == 0, (noun, result.output)
        head, *rows = result.stdout.splitlines()
        assert rows, (noun, head)
        assert not any("{" in row or "globex" in row for row in rows), (noun, rows)
    result = run("connector", "list", "--table")
    assert (result.exit_code, "--organization" in result.stderr) == (2, True)


def test_members_come_change_and_go(acme: Tenant) -> None:
    owner = in_acme("member", "add", "--email", "Boss@example.com", "--role", "org_owner")
    assert owner["password"]
    made = in_acme(
        "member", "add", "--email", "dev@example.com", "--role", "project_viewer", "--project", "acme-project"
    )
    assert made["project_ids"] == [str(acme.project.id)]
    changed = in_acme("member", "update", made["membership_id"], "--role", "project_operator", "--workspace", "main")
    assert (changed["role"], changed["workspace_id"]) == ("project_operator", str(acme.workspace.id))
    assert [row["email"] for row in in_acme("member", "list", "--role", "org_owner")["items"]] == ["boss@example.com"]
    assert in_acme("member", "show", made["membership_id"])["version"] == 2
    assert in_acme("member", "remove", made["membership_id"])["status"] == "disabled"
    assert len(in_acme("member", "list")["items"]) == 1
    assert len(in_acme("member", "list", "--removed")["items"]) == 2
    assert run("member", "remove", "--organization", "acme", owner["membership_id"]).exit_code == 5


def test_an_invitation_is_made_sent_again_and_ended(acme: Tenant) -> None:
    made = in_acme("invitation", "create", "--email", "new@example.com", "--role", "project_viewer")
    again = in_acme("invitation", "resend", made["invitation_id"])
    assert made["secret"] != again["secret"]
    assert "secret" not in in_acme("invitation", "list", "--open")["items"][0]
    in_acme("invitation", "revoke", made["invitation_id"])
    with pytest.raises(errors.Expired):
        invitations.invitation_look(secret=again["secret"])


def test_a_members_token_is_minted_rotated_and_revoked(acme: Tenant) -> None:
    in_acme("member", "add", "--email", "dev@example.com", "--role", "org_admin")
    made = in_acme("token", "create", "--member", "dev@example.com", "--name", "chat", "--days", "30")
    principal = authentication.authenticate_bearer(made["secret"])
    assert principal.scopes <= matrix.PLANNER_SCOPES
    assert (made["state"], made["kind"]) == ("active", "planner")
    fresh = in_acme("token", "rotate", made["token_id"], "--overlap-hours", "0")
    assert [row["token_id"] for row in in_acme("token", "list", "--state", "active")["items"]] == [fresh["token_id"]]
    assert in_acme("token", "show", fresh["token_id"])["scopes"] == sorted(principal.scopes)
    assert in_acme("token", "revoke", fresh["token_id"])["state"] == "revoked"
    with pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer(fresh["secret"])


def test_a_machine_comes_is_mapped_moves_and_goes(acme: Tenant) -> None:
    machine = Machine()
    code = in_acme("enroll-code", "create", "--workspace", "main")
    assert len(in_acme("enroll-code", "list", "--open")["items"]) == 1
    connector = enrollment.connector_enroll(**machine.enroll_request(code["code"]))
    links.link_open(connector_id=connector.id, link_owner="process-1")
    services.advertise_apply(connector_id=connector.id, epoch=1, advertised=machine.advertisement("one"))
    (row,) = in_acme("connector", "list", "--online")["items"]
    head, line = run("connector", "list", "--organization", "acme", "--table").stdout.splitlines()
    assert ("serves" in head.split(), "main" in line.split()) == (True, True)
    assert (row["is_online"], row["claim"]["workspace_id"]) == (True, str(acme.workspace.id))
    (place,) = in_acme("location", "list")["items"]
    assert in_acme("location", "map", place["location_id"], "--project", "acme-project")["project_id"] == str(
        acme.project.id
    )
    (daemon,) = in_acme("instance", "list")["items"]
    assert in_acme("instance", "map", daemon["instance_id"], "--project", "acme-project")["project_id"] == str(
        acme.project.id
    )
    assert [item["is_online"] for item in in_acme("connector", "presence", row["connector_id"])["items"]] == [True]
    assert in_acme("connector", "update", row["connector_id"], "--label", "laptop")["label"] == "laptop"
    moved = in_acme("connector", "transfer", row["connector_id"], "--project", "acme-project")
    for noun in ("connector", "location"):
        _, line = run(noun, "list", "--organization", "acme", "--table").stdout.splitlines()
        assert ("main/acme-project" in line.split(), str(acme.project.id) in line) == (True, False)
    assert moved["claim"]["project_id"] == str(acme.project.id)
    assert in_acme("connector", "disable", row["connector_id"])["status"] == "disabled"
    assert in_acme("connector", "enable", row["connector_id"])["status"] == "active"
    assert in_acme("connector", "release", row["connector_id"])["released_at"] is not None
    assert in_acme("connector", "list")["items"] == []
    assert in_acme("connector", "list", "--released")["items"][0]["claim"] is None


def test_a_waiting_machine_is_claimed_and_an_unused_code_ended(acme: Tenant) -> None:
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    assert in_acme("connector", "claim", code, "--project", "acme-project")["claim"]["project_id"] == str(
        acme.project.id
    )
    made = in_acme("enroll-code", "create")
    assert in_acme("enroll-code", "revoke", made["enrollment_code_id"])["revoked_at"] is not None
