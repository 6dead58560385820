"""Whether a principal may do a thing to a target: the one place that decides.

Surfaces and dispatch call `authorize` and pass the Grant on. A target that the principal may not see does not exist for
it. Tests: tests/integration/cloud/access/test_authorization.py.
"""

from collections.abc import Callable
from uuid import UUID

from django.db import connection

from cloud.access.principals import Grant, Principal
from cloud.tenancy import grants
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

# On the path of every call: building this query costs the ORM more than running it costs the database.
_WORKSPACE_OF = """
    SELECT workspace_id FROM tenancy_project
     WHERE organization_id = %s AND id = %s AND status = 'active' AND is_workspace_active
"""
_WORKSPACE = "SELECT id FROM tenancy_workspace WHERE organization_id = %s AND id = %s AND status = 'active'"


def authorize(
    principal: Principal, scope: Scope, *, workspace_id: UUID | None = None, project_id: UUID | None = None
) -> Grant:
    """The principal's grant, in the open tenant scope; one query when a workspace or a project is named, else none.

    Raises Forbidden without the scope, NotFound for what is another tenant's, outside the principal's reach, or not in
    use. A grant that names nothing is for what its service takes: services of rows check those against the reach."""
    _check_scope(principal, scope)
    if project_id is not None:
        authorize_reach(principal, scope, project_id=project_id)
        found = _active(_WORKSPACE_OF, principal.organization_id, project_id)
        if workspace_id not in (None, found):
            raise errors.NotFound
        workspace_id = found
    elif workspace_id is not None:
        if not grants.reaches_workspace(principal, workspace_id):
            raise errors.NotFound
        _active(_WORKSPACE, principal.organization_id, workspace_id)
    return Grant(
        principal=principal,
        scope=scope,
        organization_id=principal.organization_id,
        workspace_id=workspace_id,
        project_id=project_id,
    )


def authorize_for(
    principal: Principal,
    service: Callable[..., object],
    *,
    workspace_id: UUID | None = None,
    project_id: UUID | None = None,
) -> Grant:
    """As `authorize`, for the scope that the service says it needs: surfaces name services, not scopes."""
    return authorize(principal, grants.scope_of(service), workspace_id=workspace_id, project_id=project_id)


def _active(query: str, organization_id: UUID, target_id: UUID) -> UUID:
    with connection.cursor() as cursor:
        cursor.execute(query, [organization_id, target_id])
        found: tuple[UUID] | None = cursor.fetchone()
    if found is None:
        raise errors.NotFound
    return found[0]


def authorize_reach(principal: Principal, scope: Scope, *, project_id: UUID) -> None:
    """As `authorize` for a project, without a look-up: for who reads that project's rows next, of active projects only,
    and so finds out itself whether it is there. Raises Forbidden, NotFound."""
    _check_scope(principal, scope)
    if principal.project_ids is not None and project_id not in principal.project_ids:
        raise errors.NotFound


def _check_scope(principal: Principal, scope: Scope) -> None:
    if scope not in principal.scopes:
        raise errors.Forbidden(f"This credential lacks the scope {scope}.", scope=scope.value)
