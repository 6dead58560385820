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


@pytest.fixture(autouse=True, scope="module")
def commands() -> None:
    main.commands_add()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.cloudctl, arguments, catch_exceptions=False)


def test_usage_tells_what_counts_and_what_happened(acme: Tenant) -> None:
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id)
    audit_rollups.run()
    told = json.loads(run("usage", "show", "--organization", "acme", "--json").stdout)
    assert (told["calls_last_minute"], told["cost_usd_this_month"]) == (0, 0)
    assert {"event_type": "project:created", "outcome": "ok", "count": 1} in told["events"]


def test_a_person_reads_facts_then_a_table(acme: Tenant) -> None:
    lines = run("usage", "show", "--organization", "acme", "--table").stdout.splitlines()
    assert lines[0].startswith("calls_last_minute:")
    assert lines[-2:] == ["events:", "None."]


def test_a_noun_may_be_said_in_the_plural(acme: Tenant) -> None:
    assert run("orgs", "list", "--json").stdout == run("org", "list", "--json").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(shell: str) -> None:
    assert "_CLOUDCTL_COMPLETE" in run("completion", shell).stdout
    assert run("completion", "tcsh").exit_code == 2
