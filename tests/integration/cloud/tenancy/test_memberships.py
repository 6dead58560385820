"""Who may make whom what; an organization always keeps an owner."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from cloud.access import authentication, authorization, selectors
from cloud.access.principals import Grant, system_principal
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import memberships, scope
from cloud.tenancy import selectors as tenancy
from cloud.tenancy import services as ensuring
from cloud.tenancy.models import Membership
from cloud.tenancy.posts import Post
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenancy.test_units import until_somebody_waits
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeMember = Callable[..., Membership]


def acting(member: Membership, wanted: Scope = Scope.MEMBERS_WRITE) -> Grant:
    principal = selectors.user_principal(member.user, organization_id=member.organization_id)
    return authorization.authorize(principal, wanted)


def test_a_member_gets_another_role_and_reach_and_it_is_told(acme: Tenant, make_member: MakeMember) -> None:
    owner, member = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.PROJECT_VIEWER)
    with scope.organization(acme.id):
        post = Post(role=Role.PROJECT_OPERATOR, project_ids=[acme.project.id])
        row = memberships.membership_change(grant=acting(owner), membership_id=member.id, post=post, expected_version=1)
        assert (row.role, row.project_ids, row.version) == ("project_operator", [acme.project.id], 2)
        event = AuditEvent.objects.get(event_type="membership:changed")
        assert (event.details["from"]["role"], event.details["to"]["role"]) == ("project_viewer", "project_operator")
        with pytest.raises(errors.PreconditionFailed):
            memberships.membership_change(grant=acting(owner), membership_id=member.id, post=post, expected_version=1)


def test_nobody_gives_more_than_they_have(acme: Tenant, make_member: MakeMember) -> None:
    admin, member = make_member(acme, Role.ORG_ADMIN), make_member(acme, Role.PROJECT_VIEWER)
    owner = make_member(acme, Role.ORG_OWNER)
    with scope.organization(acme.id):
        with pytest.raises(errors.Forbidden):
            memberships.membership_change(
                grant=acting(admin), membership_id=member.id, post=Post(role=Role.ORG_OWNER), expected_version=None
            )
        with pytest.raises(errors.Forbidden):
            memberships.membership_remove(grant=acting(admin), membership_id=owner.id, expected_version=None)


def test_a_workspaces_administrator_sees_and_changes_its_own_people_only(acme: Tenant, make_member: MakeMember) -> None:
    with scope.organization(acme.id):
        elsewhere, _ = ensuring.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        foreign, _ = ensuring.project_ensure(workspace=elsewhere, name="foreign", actor=None)
    admin = make_member(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace)
    mine = make_member(acme, Role.PROJECT_VIEWER, project=acme.project)
    beside = make_member(acme, Role.PROJECT_VIEWER, project=foreign)
    of_all = make_member(acme, Role.PROJECT_VIEWER)
    with scope.organization(acme.id):
        seen = tenancy.membership_page(grant=acting(admin, Scope.MEMBERS_READ)).items
        assert {row.id for row in seen} == {admin.id, mine.id}
        grant = acting(admin)
        operator = Post(role=Role.PROJECT_OPERATOR, workspace_id=acme.workspace.id)
        memberships.membership_change(grant=grant, membership_id=mine.id, post=operator, expected_version=None)
        for other in (beside, of_all):
            with pytest.raises(errors.NotFound):
                memberships.membership_remove(grant=grant, membership_id=other.id, expected_version=None)
        for beyond in (
            Post(role=Role.PROJECT_VIEWER, workspace_id=elsewhere.id),
            Post(role=Role.PROJECT_VIEWER, project_ids=[foreign.id]),
        ):
            with pytest.raises(errors.NotFound):
                memberships.membership_change(grant=grant, membership_id=mine.id, post=beyond, expected_version=None)
        with pytest.raises(errors.Forbidden):
            whole = Post(role=Role.PROJECT_VIEWER)
            memberships.membership_change(grant=grant, membership_id=mine.id, post=whole, expected_version=None)


@pytest.mark.parametrize("role", [Role.ORG_OWNER, Role.ORG_ADMIN, Role.WORKSPACE_ADMIN])
def test_a_role_holds_where_it_can(acme: Tenant, make_member: MakeMember, role: Role) -> None:
    owner, member = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.PROJECT_VIEWER)
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        memberships.membership_change(
            grant=acting(owner),
            membership_id=member.id,
            post=Post(role=role, project_ids=[acme.project.id]),
            expected_version=None,
        )


def test_another_tenants_places_and_people_do_not_exist(acme: Tenant, globex: Tenant, make_member: MakeMember) -> None:
    owner, member, theirs = (
        make_member(acme, Role.ORG_OWNER),
        make_member(acme, Role.PROJECT_VIEWER),
        make_member(globex, Role.PROJECT_VIEWER),
    )
    with scope.organization(acme.id):
        for post in (
            Post(role=Role.PROJECT_VIEWER, project_ids=[globex.project.id]),
            Post(role=Role.PROJECT_VIEWER, workspace_id=globex.workspace.id),
        ):
            with pytest.raises(errors.NotFound):
                memberships.membership_change(
                    grant=acting(owner), membership_id=member.id, post=post, expected_version=None
                )
        with pytest.raises(errors.NotFound):
            memberships.membership_remove(grant=acting(owner), membership_id=theirs.id, expected_version=None)


def test_the_last_owner_stays(acme: Tenant, make_member: MakeMember) -> None:
    owner, second = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.ORG_OWNER)
    with scope.organization(acme.id):
        grant = acting(owner)
        memberships.membership_remove(grant=grant, membership_id=second.id, expected_version=None)
        with pytest.raises(errors.InvalidTransition):
            memberships.membership_remove(grant=grant, membership_id=owner.id, expected_version=None)
        with pytest.raises(errors.InvalidTransition):
            memberships.membership_change(
                grant=grant, membership_id=owner.id, post=Post(role=Role.ORG_ADMIN), expected_version=None
            )


def test_an_owner_who_cannot_sign_in_does_not_count(acme: Tenant, make_member: MakeMember) -> None:
    owner, second = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.ORG_OWNER)
    second.user.is_active = False
    second.user.save()
    with scope.organization(acme.id), pytest.raises(errors.InvalidTransition):
        memberships.membership_remove(grant=acting(owner), membership_id=owner.id, expected_version=None)


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one(acme: Tenant, make_member: MakeMember) -> None:
    """On two connections: the second waits for the first, and then is the last."""
    one, two = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.ORG_OWNER)
    with scope.organization(acme.id):
        by_one, by_two = acting(one), acting(two)
    refused: list[Exception] = []

    def second() -> None:
        try:
            with scope.organization(acme.id):
                memberships.membership_remove(grant=by_two, membership_id=one.id, expected_version=None)
        except errors.InvalidTransition as error:
            refused.append(error)
        finally:
            connections.close_all()

    waiting = threading.Thread(target=second)
    with scope.organization(acme.id):
        with transaction.atomic():
            memberships.membership_remove(grant=by_one, membership_id=two.id, expected_version=None)
            waiting.start()
            until_somebody_waits()
        waiting.join(60)
        assert [row.id for row in Membership.objects.filter(role=Role.ORG_OWNER, status="active")] == [one.id]
    assert len(refused) == 1


def test_tokens_end_with_the_membership_and_do_not_come_back_with_it(
    acme: Tenant, make_member: MakeMember, make_token: Callable[..., Any]
) -> None:
    owner, member = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.PROJECT_OPERATOR)
    _, secret = make_token(member)
    authentication.authenticate_bearer(secret)
    with scope.organization(acme.id):
        memberships.membership_remove(grant=acting(owner), membership_id=member.id, expected_version=None)
    with pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer(secret)
    installation = authorization.authorize(system_principal(acme.id, label="cloudctl"), Scope.MEMBERS_WRITE)
    with scope.organization(acme.id):
        back = memberships.membership_create(
            grant=installation, user_id=member.user_id, post=Post(role=Role.PROJECT_OPERATOR)
        )
        assert (back.id, back.status) == (member.id, "active")
    with pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer(secret)
    _, fresh = make_token(back)
    authentication.authenticate_bearer(fresh)


def test_only_the_installation_puts_people_in(acme: Tenant, make_member: MakeMember) -> None:
    owner = make_member(acme, Role.ORG_OWNER)
    with scope.organization(acme.id), pytest.raises(errors.Forbidden):
        memberships.membership_create(grant=acting(owner), user_id=owner.user_id, post=Post(role=Role.PROJECT_VIEWER))
