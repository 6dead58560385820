"""`cloudctl limits`, as an operator types it."""

import json

import pytest
from click.testing import CliRunner

from cloud.cloudctl import exits, limits, main
from cloud.limits import standings
from cloud.permissions.roles import Role
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> dict[str, object]:
    ended = CliRunner().invoke(limits.limits, [*arguments, "--json"])
    standings.standings_forget()
    assert ended.exit_code == 0, ended.output
    found: dict[str, object] = json.loads(ended.output)
    return found


def test_limits_are_set_and_shown_with_present_use(acme: Tenant) -> None:
    run("set", "--organization", "acme", "--calls-per-minute", "60", "--cost-per-month", "12.5")
    shown = run("show", "--organization", "acme")
    own = shown["own"]
    assert (own["calls_per_minute"], own["cost_micros_per_month"], own["runs_at_once"]) == (60, 12_500_000, None)
    assert (shown["calls_last_minute"], shown["runs_under_way"]) == (0, 0)


def test_a_tokens_are_its_own(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    token, _ = make_token(make_member(acme, Role.ORG_OWNER))
    run("set", "--organization", "acme", "--token", str(token.id), "--runs-at-once", "2")
    assert run("show", "--organization", "acme", "--token", str(token.id))["own"]["runs_at_once"] == 2
    assert run("show", "--organization", "acme")["own"]["runs_at_once"] is None


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--organization", "acme", "--calls-burst", "0"], exits.Exit.USAGE, "calls_burst"),
        (["--organization", "nobody"], exits.Exit.NOT_FOUND, "no organization"),
        (["--organization", "acme", "--version", "3"], exits.Exit.CONFLICT, "changed"),
    ],
)
def test_what_cannot_be_set_is_said_with_a_status(
    acme: Tenant, arguments: list[str], status: exits.Exit, said: str
) -> None:
    ended = CliRunner().invoke(main.cloudctl, ["limits", "set", *arguments, "--json"])
    assert ended.exit_code == status
    assert said in ended.output


def test_the_installation_gets_through_to_a_tenant_that_uses_up_what_it_may(acme: Tenant) -> None:
    run("set", "--organization", "acme", "--calls-per-minute", "1", "--calls-burst", "1")
    for _ in range(3):
        assert run("show", "--organization", "acme")["own"]["calls_per_minute"] == 1
