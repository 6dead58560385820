"""`cloudctl`, as an operator's shell or the demo sees it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.contrib.auth import authenticate

from cloud.access import authentication
from cloud.cloudctl.audit import audit
from cloud.cloudctl.bootstrap import bootstrap
from cloud.cloudctl.enroll_code import enroll_code
from cloud.connectors import enrollment
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Project
from local_daemon.protocol import errors, ids
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(command: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def bootstrapped(*more: str) -> dict[str, Any]:
    result = run(
        bootstrap, "--organization", "Acme", "--project", "Demo", "--email", "Owner@Acme.example", "--json", *more
    )
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_bootstrap_makes_all_that_a_planner_and_its_owner_need(db: None) -> None:
    facts = bootstrapped()
    principal = authentication.authenticate_bearer(facts["token"])
    assert str(principal.organization_id) == facts["organization_id"]
    assert principal.scopes == matrix.scopes_of(Role.ORG_OWNER)
    owner = authenticate(username="owner@acme.example", password=facts["password"])
    assert owner is not None
    with scope.organization(facts["organization_id"]):
        assert str(Project.objects.get().id) == facts["project_id"]


def test_bootstrap_finds_what_is_there_and_tells_no_secret_twice(db: None) -> None:
    first, again = bootstrapped(), bootstrapped()
    for name in ("organization_id", "workspace_id", "project_id", "email"):
        assert again[name] == first[name]
    assert (again["password"], again["token"]) == (None, None)
    another = bootstrapped("--token")["token"]
    assert another != first["token"]
    authentication.authenticate_bearer(first["token"])
    authentication.authenticate_bearer(another)


def test_bootstrap_speaks_to_people_too(db: None) -> None:
    result = run(bootstrap, "--organization", "Acme", "--project", "Demo", "--email", "a@b.example", "--table")
    assert "token: " in result.stdout
    assert "rw_" in result.stdout


def test_a_code_lets_one_machine_in(acme: Tenant) -> None:
    result = run(enroll_code, "create", "--project", str(acme.project.id), "--json")
    code = json.loads(result.stdout)["code"]
    assert enrollment.connector_enroll(**Machine().enroll_request(code)).organization_id == acme.id


def test_a_code_for_an_unknown_project_is_refused(db: None) -> None:
    with pytest.raises(errors.NotFound, match="There is no project"):
        run(enroll_code, "create", "--project", str(ids.new_uuid7()))


def test_verify_says_that_every_chain_holds(acme: Tenant, globex: Tenant) -> None:
    result = run(audit, "verify", "--seal", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["ok"], report["sealed"], report["unsealed"]) == (True, 6, 0)
    assert [part["organization"] for part in report["organizations"]] == ["acme", "globex"]
    only = json.loads(run(audit, "verify", "--organization", "acme", "--json").stdout)
    assert [part["organization"] for part in only["organizations"]] == ["acme"]


def test_verify_fails_loudly(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch, make_broken_chain: Callable[[], None]
) -> None:
    make_broken_chain()
    result = run(audit, "verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False


@pytest.fixture
def make_broken_chain(acme: Tenant, settings: Any) -> Callable[[], None]:
    """Seals Acme's chain with a key that is not the installation's any more."""

    def make() -> None:
        run(audit, "verify", "--seal", "--json")
        settings.AUDIT_SIGNING_KEY = b"k" * 32

    return make


def test_an_unknown_organization_is_refused(db: None) -> None:
    with pytest.raises(errors.NotFound, match="There is no organization"):
        run(audit, "verify", "--organization", "nobody")
