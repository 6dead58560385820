"""Which machines somebody reaches: those claimed within their reach.

A machine that merely serves one of their projects too (a location mapped there) they see, and do not change. Callers
open the organization's scope. Called by this room's services and selectors. Tests:
tests/integration/cloud/connectors/test_claims.py.
"""

from django.db.models import Exists, OuterRef, Q, QuerySet

from cloud.access.principals import Grant
from cloud.connectors.models import Claim, Connector, Location
from cloud.tenancy import grants


def connectors_held(grant: Grant) -> QuerySet[Connector]:
    """The connectors that the grant's principal may change; those that left the organization are nobody's."""
    rows = Connector.objects.filter(organization_id=grant.organization_id, released_at=None)
    if grants.reaches_everything(grant.principal):
        return rows
    return rows.filter(Exists(_claims(grant)))


def connectors_seen(grant: Grant) -> QuerySet[Connector]:
    """The connectors that they may know of."""
    rows = Connector.objects.filter(organization_id=grant.organization_id)
    if grants.reaches_everything(grant.principal):
        return rows
    serving = Location.objects.filter(
        instance__connector=OuterRef("pk"), project_id__in=grant.principal.project_ids or ()
    )
    return rows.filter(Exists(_claims(grant)) | Exists(serving))


def _claims(grant: Grant) -> QuerySet[Claim]:
    who = grant.principal
    within = Q(project_id__in=who.project_ids or ())
    if who.workspace_id is not None:
        within |= Q(workspace_id=who.workspace_id)
    return Claim.objects.filter(within, connector=OuterRef("pk"))
