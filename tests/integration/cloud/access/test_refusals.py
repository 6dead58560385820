"""Who presents a token that has ended is told to the organization whose it was, once in a while."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cloud.access import authentication, credentials, refusals
from cloud.access.models import Token
from cloud.audit import origin
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Organization
from local_daemon.protocol import errors
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    refusals._told.forget()
    yield
    refusals._told.forget()


@pytest.fixture
def member(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_ADMIN)


def present(secret: str) -> None:
    with pytest.raises(errors.Unauthenticated), origin.asked_from("192.0.2.9"):
        authentication.authenticate_bearer(secret)


def told(tenant: Tenant) -> list[tuple[str, str, str | None]]:
    with scope.organization(tenant.id):
        rows = AuditEvent.objects.filter(event_type="token:refused").order_by("id")
        return list(rows.values_list("actor_id", "details__because", "client_address"))


def test_a_revoked_token_is_told_once_a_minute(
    acme: Tenant, globex: Tenant, member: Membership, make_token: MakeToken
) -> None:
    token, secret = make_token(member)
    with scope.organization(acme.id):
        Token.objects.update(revoked_at=datetime.now(UTC))
    present(secret)
    present(secret)
    assert told(acme) == [(str(token.id), "revoked", "192.0.2.9")]
    assert told(globex) == []


def test_an_expired_token_is_told(acme: Tenant, member: Membership, make_token: MakeToken) -> None:
    token, secret = make_token(member)
    with scope.organization(acme.id):
        Token.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    present(secret)
    assert told(acme) == [(str(token.id), "expired", "192.0.2.9")]


def test_a_token_whose_holder_was_deactivated_is_told(acme: Tenant, member: Membership, make_token: MakeToken) -> None:
    token, secret = make_token(member)
    member.user.is_active = False
    member.user.save()
    present(secret)
    assert told(acme) == [(str(token.id), "orphaned", "192.0.2.9")]


def test_a_token_of_a_suspended_organization_is_told(acme: Tenant, member: Membership, make_token: MakeToken) -> None:
    token, secret = make_token(member)
    with scope.organization(acme.id):
        Organization.objects.update(status="suspended")
    present(secret)
    assert told(acme) == [(str(token.id), "suspended", "192.0.2.9")]


def test_a_token_that_never_was_is_told_to_nobody(acme: Tenant, globex: Tenant) -> None:
    present(credentials.token_new())
    assert told(acme) == told(globex) == []


def test_it_is_told_though_another_organizations_scope_is_open(
    acme: Tenant, globex: Tenant, member: Membership, make_token: MakeToken
) -> None:
    token, secret = make_token(member)
    with scope.organization(acme.id):
        Token.objects.update(revoked_at=datetime.now(UTC))
    with scope.organization(globex.id):
        present(secret)
    assert told(acme) == [(str(token.id), "revoked", "192.0.2.9")]
