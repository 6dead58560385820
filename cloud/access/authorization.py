"""Whether a principal may do a thing to a target: the one place that decides.

Surfaces and dispatch call `authorize` and pass the Grant on. A target that the principal may not see does not exist for
it. Tests: tests/integration/cloud/access/test_authorization.py.
"""

from uuid import UUID

from django.db import connection

from cloud.access.principals import Grant, Principal
from cloud.tenancy.models import Status
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

# On the path of every call: building this query costs the ORM more than running it costs the database.
_WORKSPACE = "SELECT workspace_id FROM tenancy_project WHERE organization_id = %s AND id = %s AND status = %s"


def authorize(principal: Principal, scope: Scope, *, project_id: UUID | None = None) -> Grant:
    """The principal's grant, in the open tenant scope; one query when a project is named, else none.

    Raises Forbidden without the scope, NotFound for a project of another tenant, outside the principal's reach, or
    disabled."""
    if project_id is None:
        _check_scope(principal, scope)
        return Grant(principal=principal, scope=scope, organization_id=principal.organization_id)
    authorize_reach(principal, scope, project_id=project_id)
    with connection.cursor() as cursor:
        cursor.execute(_WORKSPACE, [principal.organization_id, project_id, Status.ACTIVE])
        found = cursor.fetchone()
    if found is None:
        raise errors.NotFound
    return Grant(
        principal=principal,
        scope=scope,
        organization_id=principal.organization_id,
        workspace_id=found[0],
        project_id=project_id,
    )


def authorize_reach(principal: Principal, scope: Scope, *, project_id: UUID) -> None:
    """As `authorize` for a project, without a look-up: for who reads that project's rows next, of active projects only,
    and so finds out itself whether it is there. Raises Forbidden, NotFound."""
    _check_scope(principal, scope)
    if principal.project_ids is not None and project_id not in principal.project_ids:
        raise errors.NotFound


def _check_scope(principal: Principal, scope: Scope) -> None:
    if scope not in principal.scopes:
        raise errors.Forbidden(f"This credential lacks the scope {scope}.", scope=scope.value)
