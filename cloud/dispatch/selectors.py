"""Reading calls. Tests: tests/integration/cloud/relay/test_delivery.py, tests/integration/cloud/rest/test_runs.py."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from cloud.access.principals import Grant, Principal
from cloud.connectors.models import Connector
from cloud.dispatch import answers, lifecycle
from cloud.dispatch.models import OperationCall
from cloud.tenancy import grants, scope
from cloud.tenancy.pages import PAGE_MAX
from local_daemon.protocol import errors, ids, limits
from local_daemon.protocol.scopes import Scope
from local_daemon.protocol.states import CallState
from relay.calls import Answer


def call_get(*, principal: Principal, call_id: str) -> OperationCall:
    """One of the principal's own calls. Opens its organization's scope. Raises NotFound."""
    if not ids.is_id(ids.IdPrefix.CALL, call_id):
        raise errors.NotFound
    with scope.organization(principal.organization_id):
        row = OperationCall.objects.filter(
            organization_id=principal.organization_id,
            principal_kind=principal.kind,
            principal_id=str(principal.id),
            id=call_id,
        ).first()
    if row is None:
        raise errors.NotFound
    return row


@grants.needs(Scope.AUDIT_READ)
def call_page(
    *,
    grant: Grant,
    project_id: UUID | None = None,
    operation: str | None = None,
    state: CallState | None = None,
    principal_id: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> list[OperationCall]:
    """Who asked what of which machine, and what came of it: newest first, older than the call `before`; without what
    was sent and answered."""
    rows = _within_reach(grant)
    exact = {"project_id": project_id, "operation": operation, "state": state, "principal_id": principal_id}
    rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
    if before is not None:
        rows = rows.filter(id__lt=before)
    return list(rows.order_by("-id")[: max(1, min(limit, PAGE_MAX))])


@grants.needs(Scope.AUDIT_READ)
def call_look(*, grant: Grant, call_id: str) -> OperationCall:
    """One call, whoever made it, without what was sent and answered. Raises NotFound."""
    row = _within_reach(grant).filter(id=call_id).first()
    if row is None:
        raise errors.NotFound
    return row


def _within_reach(grant: Grant) -> QuerySet[OperationCall]:
    rows = OperationCall.objects.filter(organization_id=grant.organization_id).defer("request", "answer")
    reach = grant.principal.project_ids
    return rows if reach is None else rows.filter(project_id__in=reach)


def answer_find(call_id: str) -> Answer | None:
    """What came of a call that this process made; None while it is open. Opens the operator's scope.

    None also for an answer that was not kept: nobody elsewhere waited for it, so the process that recorded it has it in
    hand and tells its caller next."""
    with scope.operator():
        row = OperationCall.objects.filter(id=call_id).first()
    if row is None or row.state in lifecycle.OPEN:
        return None
    if row.state == CallState.ANSWERED and not row.answer:
        return None
    return answers.answer_of(row)


def connectors_silent(now: datetime) -> list[Connector]:
    """Connectors on record as linked that nothing was heard of for so long that their link, or the process that held
    it, is gone. Opens the operator's scope."""
    with scope.operator():
        silent = Connector.objects.exclude(link_owner="").filter(
            last_seen_at__lt=now - timedelta(seconds=limits.LINK_SILENCE_S)
        )
        return list(silent.order_by("id"))
