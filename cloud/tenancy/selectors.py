"""Reading tenancy. Callers open the scope, except where a function says that it opens its own."""

from uuid import UUID

from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Organization, Project, Status


def organization_ids() -> list[UUID]:
    """Every organization's id, oldest first; for the installation's own upkeep. Opens the operator's scope."""
    with scope.operator():
        return list(Organization.objects.order_by("id").values_list("id", flat=True))


def memberships_of(user_id: UUID) -> list[Membership]:
    """A person's active memberships in active organizations, oldest first. Opens the operator's scope."""
    with scope.operator():
        found = Membership.objects.filter(
            user_id=user_id, status=Status.ACTIVE, organization__status=Status.ACTIVE
        ).select_related("organization")
        return list(found.order_by("id"))


def organizations(*, slug: str | None = None) -> list[Organization]:
    """Every organization, or the one of that slug, oldest first. Opens the operator's scope."""
    with scope.operator():
        found = Organization.objects.order_by("id")
        return list(found if slug is None else found.filter(slug=slug))


def organization_of_project(project_id: UUID) -> UUID | None:
    """Whose project it is; for the installation's operators. Opens the operator's scope."""
    with scope.operator():
        return Project.objects.filter(id=project_id).values_list("organization_id", flat=True).first()
