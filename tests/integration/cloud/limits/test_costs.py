"""What work cost, summed up by whatever is asked for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.access import authentication, authorization
from cloud.access import selectors as access
from cloud.access.principals import Principal
from cloud.connectors.models import Connector, Location
from cloud.limits import costs
from cloud.limits.costs import CostGroup, CostReport
from cloud.limits.models import RunStart
from cloud.permissions.roles import Role
from cloud.runs.models import RunEvent
from cloud.tenancy import scope
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.tenants import Tenant

ONE, TWO = ids.new_id(ids.IdPrefix.RUN), ids.new_id(ids.IdPrefix.RUN)


class Feed:
    """Attempts as a machine tells of them."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant, self.seq = tenant, 0

    def tells(self, run_id: str, *, state: str = "recorded", days_ago: float = 0, **usage: Any) -> None:
        self.seq += 1
        attempt = {"state": state, "executor": "codex" if run_id == ONE else "claude", "usage": usage}
        RunEvent.objects.create(
            organization_id=self.tenant.id,
            project_id=self.tenant.project.id,
            location_id=Location.objects.get().id,
            log_id="log_" + "0" * 26,
            seq=self.seq,
            event_type="attempt.changed",
            at=datetime.now(UTC) - timedelta(days=days_ago),
            run_id=run_id,
            record={"data": {"attempt": attempt}},
        )


@pytest.fixture
def feed(acme: Tenant, connector: Connector, planner: Principal) -> Feed:
    feed = Feed(acme)
    with scope.organization(acme.id):
        feed.tells(ONE, cost_usd=1.5, input_tokens=1000, output_tokens=10, model="m-1", days_ago=3)
        feed.tells(ONE, state="running", cost_usd=100)
        feed.tells(ONE, cost_usd=0.25, input_tokens=500, output_tokens=5, model="m-1")
        feed.tells(TWO, cost_usd=None, input_tokens="many")
        RunStart.objects.create(
            call_id=ids.new_id(ids.IdPrefix.CALL),
            organization_id=acme.id,
            token_id=planner.id,
            run_id=ONE,
            started_at=datetime.now(UTC),
            expires_at=datetime.now(UTC),
        )
    return feed


def report(tenant: Tenant, by: CostGroup, *, who: Principal | None = None, days: int = 30, **asked: Any) -> CostReport:
    who = who or tenant.principal()
    with scope.organization(who.organization_id):
        grant = authorization.authorize_for(who, costs.cost_report)
        return costs.cost_report(grant=grant, by=by, days=days, **{"project_id": None, **asked})


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (CostGroup.PROJECT, [("Acme project", 3, 1_750_000)]),
        (CostGroup.RUN, [(None, 2, 1_750_000), (None, 1, 0)]),
        (CostGroup.EXECUTOR, [("codex", 2, 1_750_000), ("claude", 1, 0)]),
        (CostGroup.MODEL, [("m-1", 2, 1_750_000), (None, 1, 0)]),
        (CostGroup.TOKEN, [(None, 2, 1_750_000), (None, 1, 0)]),
    ],
)
def test_finished_attempts_are_summed_up_the_dearest_first(
    acme: Tenant, feed: Feed, planner: Principal, by: CostGroup, expected: list[tuple[str | None, int, int]]
) -> None:
    found = report(acme, by)
    assert [(row.name, row.attempts, row.cost_micros) for row in found.rows] == expected
    assert sum(row.input_tokens for row in found.rows) == 1500
    keys = {
        CostGroup.PROJECT: [str(acme.project.id)],
        CostGroup.RUN: [ONE, TWO],
        CostGroup.TOKEN: [str(planner.id), None],
    }
    assert [row.id for row in found.rows] == keys.get(by, [name for name, _, _ in expected])
    assert found.is_complete


def test_only_the_days_asked_for_count(acme: Tenant, feed: Feed) -> None:
    (row,) = report(acme, CostGroup.PROJECT, days=1).rows
    assert (row.attempts, row.cost_micros) == (2, 250_000)


def test_where_there_is_too_much_the_newest_counts_and_that_is_said(
    acme: Tenant, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "EVENTS_MAX", 2)
    found = report(acme, CostGroup.PROJECT)
    assert [row.cost_micros for row in found.rows] == [250_000]
    assert not found.is_complete
    assert found.since > datetime.now(UTC) - timedelta(days=1)


def test_who_reaches_some_projects_is_told_of_those(acme: Tenant, globex: Tenant, feed: Feed) -> None:
    within = acme.principal(project_ids=frozenset({acme.project.id}))
    assert len(report(acme, CostGroup.RUN, who=within).rows) == 2
    for stranger in (acme.principal(project_ids=frozenset()), globex.principal()):
        assert report(acme, CostGroup.RUN, who=stranger).rows == []


def test_without_any_work_nothing_was_used(acme: Tenant, connector: Connector) -> None:
    found = report(acme, CostGroup.PROJECT)
    assert (found.rows, found.is_complete) == ([], True)


def test_tokens_that_one_may_not_see_are_one_without_a_name(
    acme: Tenant, feed: Feed, make_member: MakeMember, make_token: MakeToken
) -> None:
    """An operator of the whole organization sees what all of it cost, and the names of their own tokens only."""
    operator = make_member(acme, Role.PROJECT_OPERATOR)
    own, secret = make_token(operator)
    foreign, _ = make_token(make_member(acme, Role.ORG_OWNER))
    with scope.organization(acme.id):
        RunStart.objects.update(token_id=foreign.id)
        mine = ids.new_id(ids.IdPrefix.RUN)
        feed.tells(mine, cost_usd=9)
        RunStart.objects.create(
            call_id=ids.new_id(ids.IdPrefix.CALL),
            organization_id=acme.id,
            token_id=own.id,
            run_id=mine,
            started_at=datetime.now(UTC),
            expires_at=datetime.now(UTC),
        )
        person = access.user_principal(operator.user, organization_id=acme.id)
    for who in (person, authentication.authenticate_bearer(secret)):
        found = report(acme, CostGroup.TOKEN, who=who)
        assert [(row.id, row.name) for row in found.rows] == [(str(own.id), own.name), (None, None)]
        assert sum(row.cost_micros for row in found.rows) == 10_750_000
    narrow = replace(person, scopes=person.scopes - {Scope.TOKENS_READ})
    assert [row.id for row in report(acme, CostGroup.TOKEN, who=narrow).rows] == [None]
    assert {row.name for row in report(acme, CostGroup.TOKEN).rows} == {own.name, foreign.name, None}
