from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloud.access import authentication, credentials
from cloud.access.models import Token
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import scope, services, threads
from cloud.tenancy.models import Membership, Organization
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeMember = Callable[..., Membership]
MakeToken = Callable[..., tuple[Token, str]]


def test_a_token_is_its_holder_in_one_query_and_without_a_scope(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR)
    token, secret = make_token(member)
    with CaptureQueriesContext(connection) as queries:
        principal = authentication.authenticate_bearer(secret)
    assert len(queries) == 1
    assert (principal.id, principal.organization_id, principal.membership_id) == (token.id, acme.id, member.id)
    assert principal.scopes == matrix.scopes_of(Role.PROJECT_OPERATOR)
    assert principal.project_ids is None


@pytest.mark.parametrize(
    "raw", ["", "nonsense", pytest.param(credentials.token_new(), id="never-given"), "rw_x", "\x00", "é" * 50]
)
def test_an_unknown_token_is_nobody(db: None, raw: str) -> None:
    with pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer(raw)


def test_what_cannot_be_a_token_costs_no_query(db: None) -> None:
    with CaptureQueriesContext(connection) as queries, pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer("rw_wrong")
    assert len(queries) == 0


def _expire(token: Token, _member: Membership) -> None:
    token.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    token.save()


def _revoke(token: Token, _member: Membership) -> None:
    token.revoked_at = datetime.now(UTC)
    token.save()


def _disable_member(_token: Token, member: Membership) -> None:
    Membership.objects.filter(id=member.id).update(status="disabled")


def _deactivate_user(_token: Token, member: Membership) -> None:
    member.user.is_active = False
    member.user.save()


def _disable_organization(_token: Token, member: Membership) -> None:
    Organization.objects.filter(id=member.organization_id).update(status="disabled")


@pytest.mark.parametrize("end", [_expire, _revoke, _disable_member, _deactivate_user, _disable_organization])
def test_a_token_ends_with_all_that_it_stands_on(
    acme: Tenant,
    make_member: MakeMember,
    make_token: MakeToken,
    end: Callable[[Token, Membership], None],
) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    token, secret = make_token(member)
    authentication.authenticate_bearer(secret)
    with scope.organization(acme.id):
        end(token, member)
    with pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer(secret)


def test_a_token_shrinks_with_its_holders_role(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    _, secret = make_token(member, Scope.RUNS_WRITE, Scope.RUNS_READ)
    with scope.organization(acme.id):
        Membership.objects.filter(id=member.id).update(role=Role.PROJECT_VIEWER)
    assert authentication.authenticate_bearer(secret).scopes == {Scope.RUNS_READ}


def test_a_token_reaches_only_the_projects_that_both_it_and_its_holder_reach(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    with scope.organization(acme.id):
        second, _ = services.project_ensure(workspace=acme.workspace, name="second", actor=None)
        elsewhere, _ = services.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        services.project_ensure(workspace=elsewhere, name="third", actor=None)
    bound = make_member(acme, Role.PROJECT_OPERATOR, workspace=acme.workspace)
    _, all_of_it = make_token(bound)
    _, one_of_it = make_token(bound, Scope.RUNS_READ, project_ids=[second.id])
    assert authentication.authenticate_bearer(all_of_it).project_ids == {acme.project.id, second.id}
    assert authentication.authenticate_bearer(one_of_it).project_ids == {second.id}
    single = make_member(acme, Role.PROJECT_OPERATOR, workspace=acme.workspace, project=second)
    _, narrow = make_token(single)
    assert authentication.authenticate_bearer(narrow).project_ids == {second.id}


@pytest.mark.django_db(transaction=True)
def test_when_a_token_was_last_used_is_noted_to_the_minute(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    token, secret = make_token(make_member(acme, Role.ORG_ADMIN))

    def last_used_at() -> datetime | None:
        threads.close_all()  # Waits for what was started beside the answer.
        with scope.organization(acme.id):
            return Token.objects.get(id=token.id).last_used_at

    authentication.authenticate_bearer(secret)
    first = last_used_at()
    assert first is not None
    authentication.authenticate_bearer(secret)
    assert last_used_at() == first
    with scope.organization(acme.id):
        Token.objects.update(last_used_at=first - timedelta(minutes=2))
    authentication.authenticate_bearer(secret)
    again = last_used_at()
    assert again is not None
    assert again >= first
