"""Who asks, and what answers them: any credential may know. Tests: tests/integration/cloud/rest/test_me.py."""

from cloud.rest.endpoints import PREFIX, Asked, endpoint
from cloud.rest.me import messages
from cloud.tenancy import selectors
from local_daemon.protocol import version


@endpoint("GET", "/me", name="me.get", title="Who asks", service=None, response=messages.MeView)
def me_get(asked: Asked) -> messages.MeView:
    """The credential presented: its organization, its scopes and how far it reaches."""
    who = asked.principal
    found = selectors.organization_find(who.organization_id)
    return messages.MeView(
        kind=who.kind.value,
        id=str(who.id),
        name=who.label,
        organization=messages.MyOrganization(organization_id=found.id, name=found.name, slug=found.slug),
        membership_id=who.membership_id,
        workspace_id=who.workspace_id,
        project_ids=None if who.project_ids is None else tuple(sorted(who.project_ids)),
        scopes=tuple(sorted(who.scopes)),
        expires_at=who.expires_at,
    )


@endpoint("GET", "/status", name="status.get", title="This cloud", service=None, response=messages.StatusView)
def status_get(_asked: Asked) -> messages.StatusView:
    """Which version answers, and where its surfaces are."""
    return messages.StatusView(
        version=version.__version__,
        protocol_version=version.PROTOCOL_VERSION,
        http=PREFIX,
        operations="/api/v2",
        mcp=f"{PREFIX}/mcp",
        openapi=f"{PREFIX}/openapi.json",
    )


ENDPOINTS = (me_get, status_get)
