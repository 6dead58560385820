import pytest

from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope, selectors, services
from local_daemon.protocol import errors
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_making_the_same_twice_finds_it_and_audits_once(acme: Tenant) -> None:
    again, is_new = services.organization_ensure(name="Acme")
    assert (again.id, is_new) == (acme.id, False)
    with scope.organization(acme.id):
        services.workspace_ensure(organization_id=acme.id, name="main", actor=None)
        services.project_ensure(workspace=acme.workspace, name="Acme project", actor=None)
        told = list(AuditEvent.objects.order_by("id").values_list("event_type", flat=True))
    assert told == ["organization:created", "workspace:created", "project:created"]


def test_a_name_without_letters_is_refused(db: None) -> None:
    with pytest.raises(errors.InvalidRequest):
        services.organization_ensure(name="!!!")


def test_a_member_keeps_the_role_it_has(acme: Tenant) -> None:
    user = User.objects.create_user("Ann@Example.com", "a long password")
    with scope.organization(acme.id):
        services.membership_ensure(organization_id=acme.id, user_id=user.id, role=Role.PROJECT_VIEWER, actor=None)
        again, is_new = services.membership_ensure(
            organization_id=acme.id, user_id=user.id, role=Role.ORG_OWNER, actor=None
        )
    assert (again.role, is_new) == (Role.PROJECT_VIEWER, False)
    assert [row.organization.name for row in selectors.memberships_of(user.id)] == ["Acme"]
