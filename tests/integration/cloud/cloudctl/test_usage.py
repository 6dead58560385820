"""`cloudctl usage`, `completion`, and how nouns are found."""

import json

import pytest
from click.testing import CliRunner, Result

from cloud.audit import seal
from cloud.cloudctl import main
from cloud.schedules import audit_rollups
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.cloudctl, arguments, catch_exceptions=False)


def test_usage_tells_what_counts_and_what_happened(acme: Tenant) -> None:
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id)
    audit_rollups.run()
    told = json.loads(run("usage", "show", "--organization", "acme", "--json").stdout)
    assert (told["runs_under_way"], told["cost_micros_this_month"], told["by_day"]) == (0, 0, [])
    counted = json.loads(run("usage", "events", "--organization", "acme", "--json").stdout)["items"]
    assert ("project:created", 1) in {(row["event_type"], row["count"]) for row in counted}


def test_a_person_reads_facts_then_a_table(acme: Tenant) -> None:
    lines = run("usage", "show", "--organization", "acme", "--table").stdout.splitlines()
    assert lines[0].startswith("calls_last_minute:")
    assert lines[-2:] == ["by_day:", "None."]


def test_a_noun_may_be_said_in_the_plural(acme: Tenant) -> None:
    assert run("orgs", "list", "--json").stdout == run("org", "list", "--json").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(shell: str) -> None:
    assert "_CLOUDCTL_COMPLETE" in run("completion", shell).stdout
    assert run("completion", "tcsh").exit_code == 2
