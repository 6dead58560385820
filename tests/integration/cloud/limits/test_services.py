"""Who may set which limit, and what the audit keeps of it."""

import pytest

from cloud.access import authorization
from cloud.audit.models import AuditEvent
from cloud.limits import selectors, services
from cloud.limits.allowances import Allowance
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.limits.conftest import SetLimits
from tests.integration.cloud.tenants import Tenant


def test_a_change_is_audited_with_what_was_before(acme: Tenant, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=60)
    limit_all(calls_per_minute=90)
    limit_all(calls_per_minute=90)
    with scope.organization(acme.id):
        told = AuditEvent.objects.filter(event_type="limit:changed").order_by("id")
        assert [row.details for row in told] == [{"calls_per_minute": [None, 60]}, {"calls_per_minute": [60, 90]}]


def test_who_read_an_older_version_is_told_so(acme: Tenant) -> None:
    facts = {"organization_id": acme.id, "actor": acme.principal()}
    with scope.organization(acme.id):
        services.organization_limits_set(allowance=Allowance(runs_at_once=1), expected_version=0, **facts)
        with pytest.raises(errors.PreconditionFailed):
            services.organization_limits_set(allowance=Allowance(runs_at_once=9), expected_version=0, **facts)
        assert selectors.limit_use(organization_id=acme.id, token_id=None).own == Allowance(runs_at_once=1)


def test_a_token_out_of_reach_is_not_found(
    acme: Tenant, globex: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    token, _ = make_token(make_member(globex, Role.ORG_OWNER))
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.TOKENS_WRITE)
        reader = authorization.authorize(acme.principal(), Scope.USAGE_READ)
        for token_id in (token.id, ids.new_uuid7()):
            with pytest.raises(errors.NotFound):
                services.token_limits_set(grant=grant, token_id=token_id, allowance=Allowance())
            with pytest.raises(errors.NotFound):
                selectors.token_limits_get(grant=reader, token_id=token_id)


def test_a_token_does_not_set_its_own(acme: Tenant) -> None:
    principal = acme.principal()
    with scope.organization(acme.id):
        grant = authorization.authorize(principal, Scope.TOKENS_WRITE)
        with pytest.raises(errors.Forbidden):
            services.token_limits_set(grant=grant, token_id=principal.id, allowance=Allowance())  # type: ignore[arg-type]


def test_what_is_not_set_is_the_installations_own(acme: Tenant, settings: object, limit_all: SetLimits) -> None:
    settings.LIMITS = {"organization": Allowance(runs_at_once=7), "token": Allowance()}  # type: ignore[attr-defined]
    limit_all(calls_per_minute=60)
    with scope.organization(acme.id):
        found = selectors.limit_use(organization_id=acme.id, token_id=None)
    assert (found.own, found.allowance) == (
        Allowance(calls_per_minute=60),
        Allowance(calls_per_minute=60, runs_at_once=7),
    )
