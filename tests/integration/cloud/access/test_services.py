from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cloud.access import authentication, authorization, selectors, services
from cloud.access.models import Token
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeMember = Callable[..., Membership]
MakeToken = Callable[..., tuple[Token, str]]


def test_minting_keeps_no_secret_and_is_audited(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    token, secret = make_token(make_member(acme, Role.ORG_OWNER))
    assert secret.startswith(token.prefix)
    assert len(token.prefix) < 12
    with scope.organization(acme.id):
        told = AuditEvent.objects.get(event_type="token:minted")
    assert told.target_id == str(token.id)
    assert secret not in str(vars(token)) + str(vars(told))


def test_a_token_cannot_do_more_than_its_maker(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    operator = make_member(acme, Role.PROJECT_OPERATOR)
    with pytest.raises(errors.Forbidden):
        make_token(operator, Scope.MEMBERS_WRITE)
    with scope.organization(acme.id):
        assert not Token.objects.exists()


def test_a_token_reaches_no_further_than_its_maker(
    acme: Tenant, globex: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    with pytest.raises(errors.NotFound):
        make_token(make_member(acme, Role.ORG_OWNER), project_ids=[globex.project.id])
    bound = make_member(acme, Role.PROJECT_OPERATOR, workspace=acme.workspace, project=acme.project)
    _, secret = make_token(bound)
    assert authentication.authenticate_bearer(secret).project_ids == {acme.project.id}


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_token_needs_a_name(acme: Tenant, name: str) -> None:
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        grant = authorization.authorize(acme.principal(), Scope.TOKENS_WRITE)
        services.token_mint(grant=grant, name=name, scopes=[Scope.RUNS_READ])


def test_a_token_cannot_be_born_expired(acme: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        grant = authorization.authorize(acme.principal(), Scope.TOKENS_WRITE)
        past = datetime.now(UTC) - timedelta(seconds=1)
        services.token_mint(grant=grant, name="late", scopes=[Scope.RUNS_READ], expires_at=past)


def test_revoking_twice_is_revoking_once(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    token, _ = make_token(make_member(acme, Role.ORG_OWNER))
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.TOKENS_WRITE)
        first = services.token_revoke(grant=grant, token_id=token.id)
        again = services.token_revoke(grant=grant, token_id=token.id)
        assert again.revoked_at == first.revoked_at
        assert AuditEvent.objects.filter(event_type="token:revoked").count() == 1


def test_another_tenants_token_does_not_exist(
    acme: Tenant, globex: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    token, _ = make_token(make_member(globex, Role.ORG_OWNER))
    with scope.organization(acme.id), pytest.raises(errors.NotFound):
        grant = authorization.authorize(acme.principal(), Scope.TOKENS_WRITE)
        services.token_revoke(grant=grant, token_id=token.id)


def test_an_operator_of_a_project_sees_and_ends_only_its_own_tokens(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    owners, _ = make_token(make_member(acme, Role.ORG_OWNER))
    operator = make_member(acme, Role.PROJECT_OPERATOR)
    own, _ = make_token(operator)
    with scope.organization(acme.id):
        principal = selectors.user_principal(operator.user, organization_id=acme.id)
        grant = authorization.authorize(principal, Scope.TOKENS_WRITE)
        reading = authorization.authorize(principal, Scope.TOKENS_READ)
        assert [row.id for row in selectors.token_list(grant=reading)] == [own.id]
        with pytest.raises(errors.NotFound):
            services.token_revoke(grant=grant, token_id=owners.id)
