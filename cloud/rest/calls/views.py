"""The action log: who asked what of which machine, and what came of it. One's own calls with their answers are below
/api/v2. Tests: tests/integration/cloud/rest/test_runs.py."""

from cloud.dispatch import selectors
from cloud.dispatch.models import OperationCall
from cloud.rest import pages
from cloud.rest.calls.messages import CallPage, CallQuery, CallView
from cloud.rest.endpoints import Asked, endpoint
from local_daemon.protocol import ids, states


@endpoint(
    "GET",
    "/calls",
    name="calls.list",
    title="The action log",
    service=selectors.call_page,
    query=CallQuery,
    response=CallPage,
)
def calls_list(asked: Asked, query: CallQuery) -> CallPage:
    """The calls of machines within reach, newest first."""
    rows = selectors.call_page(
        grant=asked.grant(),
        project_id=query.project_id,
        operation=query.operation,
        state=query.state,
        principal_id=query.actor_id,
        limit=query.limit,
        before=pages.after_record(query.cursor, ids.IdPrefix.CALL),
    )
    return CallPage(**pages.rows_told(rows, _view, limit=query.limit, mark=lambda row: row.id))


@endpoint("GET", "/calls/{call_id}", name="calls.get", title="A call", service=selectors.call_look, response=CallView)
def calls_get(asked: Asked, call_id: str) -> CallView:
    """One call, whoever made it."""
    return _view(selectors.call_look(grant=asked.grant(), call_id=call_id))


def _view(row: OperationCall) -> CallView:
    return CallView(
        call_id=row.id,
        operation=row.operation,
        state=states.CallState(row.state),
        project_id=row.project_id,
        location_id=row.location_id,
        connector_id=row.connector_id,
        actor_kind=row.principal_kind,
        actor_id=row.principal_id,
        actor=row.principal_label,
        client_address=row.client_address,
        accepted_at=row.accepted_at,
        sent_at=row.sent_at,
        ended_at=row.ended_at,
        deadline_at=row.deadline_at,
        status=row.answer_status,
        answer_code=row.answer_code or None,
    )


ENDPOINTS = (calls_list, calls_get)
