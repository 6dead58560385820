"""What is left of an organization that was purged: its audit, verified, handed out and kept as any other."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from django.conf import settings

from cloud.access import authorization
from cloud.accounts.models import User
from cloud.audit import standalone_verifier
from cloud.audit.installation import NAME
from cloud.cloudctl import main
from cloud.tenancy import organizations, purging, scope, selectors, units
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.cloudctl, ["audit", *arguments], catch_exceptions=False)


def purge(tenant: Tenant) -> None:
    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.ORGANIZATION_WRITE)
        organizations.organization_delete(grant=grant, expected_version=None)
    assert len(purging.purge_due(now=datetime.now(UTC) + units.GRACE + timedelta(hours=1))) == 1


def test_what_was_kept_of_its_chain_still_holds(acme: Tenant, globex: Tenant, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoints.jsonl"
    kept.write_text(run("checkpoint").stdout)
    purge(acme)
    told = run("verify", "--checkpoints", str(kept), "--json")
    assert told.exit_code == 0, told.stdout
    rows = {row["organization_id"]: row for row in json.loads(told.stdout)["organizations"]}
    assert rows[str(acme.id)]["organization"] is None
    assert rows[str(globex.id)]["organization"] == "globex"
    assert {line["organization_id"] for line in map(json.loads, run("checkpoint").stdout.splitlines())} == set(rows)


def test_its_chain_is_verified_and_exported_by_its_id(acme: Tenant, globex: Tenant, tmp_path: Path) -> None:
    purge(acme)
    assert run("verify", "--organization", str(acme.id)).exit_code == 0
    out = tmp_path / "audit.jsonl"
    assert run("export", "--organization", str(acme.id), "--out", str(out)).exit_code == 0
    assert "organization:purged" in out.read_text()
    argv = [sys.executable, standalone_verifier.__file__, str(out)]
    assert subprocess.run(argv, check=False, capture_output=True, cwd=settings.ROOT, timeout=60).returncode == 0


def test_who_is_alone_need_not_be_named_beside_the_gone(acme: Tenant, globex: Tenant, tmp_path: Path) -> None:
    purge(acme)
    assert run("export", "--out", str(tmp_path / "audit.jsonl")).exit_code == 0


def test_the_installations_own_chain_is_verified_and_exported_by_its_name(acme: Tenant, tmp_path: Path) -> None:
    User.objects.create_superuser("operator@example.com", "a long password")
    assert run("verify", "--seal").exit_code == 0
    out = tmp_path / "audit.jsonl"
    assert run("export", "--organization", NAME, "--out", str(out)).exit_code == 0
    assert "user:created" in out.read_text()


def test_an_id_that_nobody_ever_had_is_not_found(acme: Tenant) -> None:
    told = run("verify", "--organization", "01900000-0000-7000-8000-000000000000")
    assert told.exit_code == 3


def test_they_come_after_those_that_are_there(acme: Tenant, globex: Tenant) -> None:
    purge(acme)
    assert selectors.audited_ids() == [globex.id, acme.id]
