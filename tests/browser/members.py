"""Makes a member, as the installation may: python -m tests.browser.members ROLE PROJECT_ID; writes their address."""

import sys
from uuid import UUID

import django

django.setup()

from cloud.access import authorization  # noqa: E402 - Django has to be set up first
from cloud.access.principals import system_principal  # noqa: E402
from cloud.accounts.models import User  # noqa: E402
from cloud.permissions.roles import Role  # noqa: E402
from cloud.tenancy import memberships, scope, selectors  # noqa: E402
from cloud.tenancy.models import Project  # noqa: E402
from cloud.tenancy.posts import Post  # noqa: E402
from local_daemon.protocol.scopes import Scope  # noqa: E402
from tests.browser.browsers import PASSWORD  # noqa: E402


def main() -> None:
    """Make one."""
    role, project_id = Role(sys.argv[1]), UUID(sys.argv[2])
    organization_id = selectors.organization_of_project(project_id)
    assert organization_id is not None
    email = f"{role}@acme.example"
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, PASSWORD, is_staff=True)
    with scope.organization(organization_id):
        project = Project.objects.get(id=project_id)
        bound = {
            Role.WORKSPACE_ADMIN: {"workspace_id": project.workspace_id},
            Role.PROJECT_OPERATOR: {"project_ids": [project.id]},
            Role.PROJECT_VIEWER: {"project_ids": [project.id]},
        }
        grant = authorization.authorize(system_principal(organization_id, label="a test"), Scope.MEMBERS_WRITE)
        memberships.membership_create(grant=grant, user_id=user.id, post=Post(role=role, **bound.get(role, {})))
    sys.stdout.write(f"{email}\n")


if __name__ == "__main__":
    main()
