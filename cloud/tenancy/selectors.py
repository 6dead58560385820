"""Reading tenancy. Callers open the scope, except where a function says that it opens its own."""

from uuid import UUID

from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Organization, Status


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
