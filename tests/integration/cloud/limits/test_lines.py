"""Limits of a token hold for all that it mints together, however many, and no token moves its own."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from cloud.access import authentication, authorization
from cloud.access import services as access
from cloud.access.models import TokenKind
from cloud.access.principals import Principal, PrincipalKind
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Connector
from cloud.limits import admission, selectors, services, standings, usage
from cloud.limits.allowances import Allowance
from cloud.limits.models import RunStart, Usage
from cloud.permissions.roles import Role
from cloud.runs.models import RunEvent
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.limits.conftest import Call
from tests.integration.cloud.limits.test_usage import RUN, record
from tests.integration.cloud.tenants import Tenant

CHILDREN = 12


@pytest.fixture
def maker(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> Principal:
    _, secret = make_token(make_member(acme, Role.ORG_OWNER), kind=TokenKind.SERVICE)
    return authentication.authenticate_bearer(secret)


def mint(tenant: Tenant, maker: Principal) -> Principal:
    with scope.organization(tenant.id):
        grant = authorization.authorize(maker, Scope.TOKENS_WRITE)
        _, secret = access.token_mint(grant=grant, name="child", scopes=maker.scopes, kind=TokenKind.SERVICE)
    return authentication.authenticate_bearer(secret)


def limit(tenant: Tenant, whose: Principal, *, who: Principal | None = None, **fields: int) -> None:
    with scope.organization(tenant.id):
        grant = authorization.authorize(who or tenant.principal(), Scope.TOKENS_WRITE)
        services.token_limits_set(grant=grant, token_id=UUID(str(whose.id)), allowance=Allowance(**fields))


def use_of(tenant: Tenant, whose: Principal) -> selectors.LimitUse:
    with scope.organization(tenant.id):
        return selectors.limit_use(organization_id=tenant.id, token_id=UUID(str(whose.id)))


def test_many_children_call_no_more_often_than_their_maker_may(acme: Tenant, call: Call, maker: Principal) -> None:
    limit(acme, maker, calls_per_minute=1, calls_burst=3)
    made = 0
    for _ in range(CHILDREN):
        child = mint(acme, mint(acme, maker))
        try:
            call(principal=child)
            made += 1
        except errors.RateLimited as refused:
            assert refused.attributes["allowed"] == 1
    assert made == 3
    with pytest.raises(errors.RateLimited):
        call(principal=maker)


def test_a_child_may_be_limited_further_and_then_costs_its_maker_nothing(
    acme: Tenant, call: Call, maker: Principal
) -> None:
    child = mint(acme, maker)
    limit(acme, maker, calls_per_minute=1, calls_burst=2)
    limit(acme, child, calls_per_minute=1, calls_burst=1)
    call(principal=child)
    for _ in range(3):
        with pytest.raises(errors.RateLimited):
            call(principal=child)
    call(principal=maker)


def test_refusals_of_many_children_are_told_to_the_audit_once(acme: Tenant, call: Call, maker: Principal) -> None:
    limit(acme, maker, calls_per_minute=1, calls_burst=1)
    call(principal=maker)
    for _ in range(4):
        with pytest.raises(errors.RateLimited):
            call(principal=mint(acme, maker))
    with scope.organization(acme.id):
        assert AuditEvent.objects.filter(event_type="limit:reached").count() == 1


def test_runs_of_all_children_count_together(acme: Tenant, connector: Connector, call: Call, maker: Principal) -> None:
    limit(acme, maker, runs_at_once=2)
    for _ in range(2):
        call("runs.create", principal=mint(acme, maker))
    for who in (maker, mint(acme, maker)):
        with pytest.raises(errors.QuotaExceeded):
            call("runs.create", principal=who)
    assert use_of(acme, maker).runs_under_way == 2


def test_what_a_schedule_begins_counts_against_the_token_that_it_fires_for(
    acme: Tenant, connector: Connector, call: Call, maker: Principal
) -> None:
    limit(acme, maker, runs_at_once=1, calls_per_minute=60)
    fires = Principal(
        kind=PrincipalKind.SYSTEM,
        id="schedule:nightly",
        organization_id=acme.id,
        label="nightly",
        scopes=maker.scopes,
        limited_as=UUID(str(mint(acme, maker).id)),
    )
    call("manifests.submit", principal=fires)
    for who in (fires, maker):
        with pytest.raises(errors.QuotaExceeded):
            call("manifests.submit", principal=who)
    assert use_of(acme, maker).runs_under_way == 1


def test_a_start_from_before_lines_were_kept_counts_for_its_token(
    acme: Tenant, connector: Connector, call: Call, maker: Principal
) -> None:
    call("runs.create", principal=maker)
    with scope.organization(acme.id):
        RunStart.objects.update(line=None)
    assert use_of(acme, maker).runs_under_way == 1


def test_artifacts_that_children_fetch_use_up_what_their_maker_may(
    acme: Tenant, connector: Connector, call: Call, maker: Principal
) -> None:
    limit(acme, maker, artifact_bytes_per_day=1000)
    for _ in range(2):
        with scope.organization(acme.id):
            child = mint(acme, maker)
            usage.artifact_bytes_add(
                organization_id=acme.id, token_id=UUID(str(child.id)), size_bytes=500, now=datetime.now(UTC)
            )
    standings.standings_forget()
    with pytest.raises(errors.QuotaExceeded):
        call("artifacts.content", principal=mint(acme, maker))
    assert use_of(acme, maker).artifact_bytes_today == 1000
    with scope.organization(acme.id):
        used = usage.used_by(organization_id=acme.id, now=datetime.now(UTC))
        assert used[None].artifact_bytes_today == 1000
        reader = authorization.authorize(acme.principal(), Scope.USAGE_READ)
        assert sorted(row.amount for row in selectors.usage_page(grant=reader)) == [500, 500]


def test_what_work_of_children_costs_uses_up_what_their_maker_may(
    acme: Tenant, connector: Connector, call: Call, maker: Principal
) -> None:
    child = mint(acme, maker)
    accepted = call("runs.create", principal=child)
    with scope.organization(acme.id):
        RunStart.objects.filter(call_id=accepted.call.call_id).update(run_id=RUN)
        record(acme, 1, "recorded", 3)
        record(acme, 2, "recorded", 1, run_id=ids.new_id(ids.IdPrefix.RUN))
        usage.cost_fold(acme.id)
        assert RunEvent.objects.count() == 2
    assert use_of(acme, maker).cost_micros_this_month == use_of(acme, child).cost_micros_this_month == 3_000_000
    limit(acme, maker, cost_micros_per_month=3_000_000)
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create", principal=mint(acme, maker))
    with scope.organization(acme.id):
        assert usage.used_by(organization_id=acme.id, now=datetime.now(UTC))[None].cost_micros_this_month == 4_000_000


def test_use_from_before_it_was_counted_up_the_line_still_counts(acme: Tenant, maker: Principal) -> None:
    token_id = UUID(str(maker.id))
    with scope.organization(acme.id):
        today = datetime.now(UTC)
        Usage.objects.create(
            organization_id=acme.id, token_id=token_id, kind="artifact_bytes", day=today.date(), amount=7
        )
        usage.artifact_bytes_add(organization_id=acme.id, token_id=token_id, size_bytes=5, now=today)
    assert use_of(acme, maker).artifact_bytes_today == 12


def test_a_token_sets_no_limits_of_itself_nor_of_one_that_it_comes_from(acme: Tenant, maker: Principal) -> None:
    child = mint(acme, mint(acme, maker))
    limit(acme, maker, calls_per_minute=60)
    for whose in (maker, child):
        with pytest.raises(errors.Forbidden):
            limit(acme, whose, who=child, calls_per_minute=6000)
    limit(acme, child, who=maker, calls_per_minute=6)
    assert use_of(acme, maker).own == Allowance(calls_per_minute=60)


def test_a_token_that_takes_its_own_place_keeps_its_limits(acme: Tenant, call: Call, maker: Principal) -> None:
    limit(acme, maker, calls_per_minute=1, calls_burst=1)
    call(principal=maker)
    with scope.organization(acme.id):
        grant = authorization.authorize(maker, Scope.TOKENS_WRITE)
        _, secret = access.token_rotate(grant=grant, token_id=UUID(str(maker.id)))
    renewed = authentication.authenticate_bearer(secret)
    with pytest.raises(errors.RateLimited):
        call(principal=renewed)
    with pytest.raises(errors.Forbidden):
        limit(acme, maker, who=renewed, calls_per_minute=6000)
    limit(acme, renewed, calls_per_minute=2, calls_burst=1)
    assert use_of(acme, renewed).own.calls_per_minute == 2


def test_what_a_child_may_is_shown_with_what_its_maker_may(acme: Tenant, call: Call, maker: Principal) -> None:
    child = mint(acme, maker)
    limit(acme, maker, calls_per_minute=60, runs_at_once=3)
    limit(acme, child, calls_per_minute=600, cost_micros_per_month=5)
    found = use_of(acme, child)
    assert found.own == Allowance(calls_per_minute=600, cost_micros_per_month=5)
    assert found.allowance == Allowance(calls_per_minute=60, runs_at_once=3, cost_micros_per_month=5)
    call(principal=child)
    assert (use_of(acme, maker).calls_last_minute, use_of(acme, child).calls_last_minute) == (1, 1)


@pytest.fixture(autouse=True)
def told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals of the tests before are forgotten."""
    monkeypatch.setattr(admission, "_told", {})
