"""Limits and cost, as a planner is told of them."""

from collections.abc import Iterator

import pytest

from cloud.access import authorization
from cloud.access.authentication import authenticate_bearer
from cloud.access.principals import PrincipalKind
from cloud.audit import services as audit
from cloud.audit.models import AuditEvent
from cloud.limits import services, standings
from cloud.limits.allowances import Allowance
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.operations.asking import answered, perform
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    standings.standings_forget()


def limit(tenant: Tenant, allowance: Allowance) -> None:
    with scope.organization(tenant.id):
        actor: audit.Actor = tenant.principal()
        services.organization_limits_set(organization_id=tenant.id, allowance=allowance, actor=actor)


def test_limits_say_what_is_left(acme: Tenant) -> None:
    told = perform(acme, "usage.limits")
    assert told["organization"]["runs_at_once"] == {"allowed": None, "used": 0, "left": None}
    assert told["token"] is None, "a person has none"
    limit(acme, Allowance(runs_at_once=4, cost_micros_per_month=2_500_000))
    told = perform(acme, "usage.limits")["organization"]
    assert told["runs_at_once"] == {"allowed": 4, "used": 0, "left": 4}
    assert told["cost_usd_per_month"] == {"allowed": 2.5, "used": 0, "left": 2.5}


def test_a_token_is_told_its_own_limits(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    (own, secret), (other, _) = make_token(member), make_token(member)
    principal = authenticate_bearer(secret)
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(kind=PrincipalKind.USER), Scope.TOKENS_WRITE)
        services.token_limits_set(grant=grant, token_id=own.id, allowance=Allowance(calls_per_minute=60))
    assert answered(principal, "usage.limits")["token"]["calls_per_minute"]["allowed"] == 60
    told = answered(principal, "usage.limits", token_id=str(other.id))
    assert told["token"]["calls_per_minute"]["allowed"] is None


def test_another_tenants_token_is_not_there(
    acme: Tenant, globex: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    foreign, _ = make_token(make_member(globex, Role.ORG_OWNER))
    with pytest.raises(errors.NotFound):
        perform(acme, "usage.limits", token_id=str(foreign.id))


def test_what_is_asked_of_the_cloud_itself_counts_as_a_call(acme: Tenant) -> None:
    limit(acme, Allowance(calls_per_minute=1, calls_burst=1))
    perform(acme, "projects.list")
    with pytest.raises(errors.RateLimited):
        perform(acme, "projects.list")
    with scope.organization(acme.id):
        assert AuditEvent.objects.filter(event_type="limit:reached").exists()
