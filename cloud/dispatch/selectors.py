"""Reading calls. Tests: tests/integration/cloud/relay/test_delivery.py."""

from datetime import datetime, timedelta

from cloud.access.principals import Principal
from cloud.connectors.models import Connector
from cloud.dispatch import answers, lifecycle
from cloud.dispatch.models import OperationCall
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids, limits
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
