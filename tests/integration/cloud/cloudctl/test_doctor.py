"""`cloudctl doctor`: every thing that may be wrong is found, and told with a next step."""

import json
import os
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django_q.models import Schedule

from cloud.cloudctl import main
from cloud.schedules import declarations
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.cloudctl, ["doctor", *arguments], catch_exceptions=False)


def findings() -> dict[str, dict[str, Any]]:
    result = run("--json")
    told = json.loads(result.stdout)
    assert result.exit_code == (0 if told["ok"] else 1)
    return {finding["name"]: finding for finding in told["findings"]}


def test_what_is_well_is_told(acme: Tenant) -> None:
    found = findings()
    names = ("database", "database role", "row-level security", "migrations", "audit signing key", "sealing keys")
    assert {found[name]["level"] for name in names} == {"ok"}
    assert all(finding["next_step"] for finding in found.values() if finding["level"] != "ok")


def test_work_that_nobody_does_is_told(acme: Tenant) -> None:
    Schedule.objects.all().delete()
    assert findings()["worker"]["level"] == "warn"
    assert "overdue" in findings()["periodic work"]["detail"]
    declarations.schedules_declare()
    assert findings()["periodic work"]["level"] == "ok"


def test_static_files_that_were_not_collected_are_told(acme: Tenant, settings: Any, tmp_path: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    assert findings()["static files"]["level"] == "fail"
    (tmp_path / "staticfiles.json").write_text("{}")
    assert findings()["static files"]["level"] == "ok"


def test_an_audit_key_that_was_thrown_away_is_told(acme: Tenant, settings: Any) -> None:
    CliRunner().invoke(main.cloudctl, ["audit", "verify", "--seal", "--json"], catch_exceptions=False)
    settings.AUDIT_SIGNING_KEY = os.urandom(32)
    found = findings()["audit signing key"]
    assert (found["level"], "ROPEWAY_AUDIT_SIGNING_KEY" in found["next_step"]) == ("fail", True)


def test_people_read_a_line_a_check_and_what_to_do(acme: Tenant) -> None:
    lines = run("--table").stdout.splitlines()
    assert lines[0].startswith("ok   database: PostgreSQL")
    assert any(line.startswith("     → ") for line in lines)


def test_an_address_is_tried_with_the_certificates_that_are_named(acme: Tenant, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    words = ["--ca-file", str(tmp_path / "ca.pem"), "doctor", "--address", "https://localhost:1", "--json"]
    result = CliRunner().invoke(main.cloudctl, words, catch_exceptions=False)
    found = {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert "no certificate" in found["address"]["detail"]
