"""Asking a machine, through the one funnel: authorized, counted, recorded and audited there, as below /api/v2.

Called by the views that only a machine can answer. Tests: tests/integration/cloud/relay/test_rest.py.
"""

from collections.abc import Mapping
from uuid import UUID

from pydantic import BaseModel

from cloud.dispatch import services as dispatch
from cloud.rest.endpoints import Answered, Asked, RefusedByFunnel
from cloud.tenancy import scope
from local_daemon.protocol import errors


def machine_ask(
    asked: Asked,
    operation: str,
    *,
    project_id: UUID,
    location: str | None,
    parameters: Mapping[str, str],
    body: BaseModel,
    left_out: frozenset[str] = frozenset(),
) -> Answered:
    """The machine's answer, or, where the caller prefers that, that the call is durable. `left_out`: members of the
    body that say where it goes. Raises RefusedByFunnel."""
    try:
        answered = scope.outside(
            dispatch.dispatch_operation_sync,
            principal=asked.principal,
            operation_name=operation,
            project_id=str(project_id),
            parameters=parameters,
            query={},
            body=body.model_dump(mode="json", exclude_unset=True, exclude=set(left_out)),
            idempotency_key=asked.headers.get("Idempotency-Key"),
            location=location,
            client_address=asked.client_address,
            respond_async=_prefers_async(asked.headers.get("Prefer", "")),
        )
    except errors.RopewayError as error:
        raise RefusedByFunnel(error) from error
    headers = {"Ropeway-Call-Id": answered.call_id}
    if answered.is_replay:
        headers["Idempotent-Replayed"] = "true"
    return Answered(body=answered.answer.body, status=answered.answer.status, headers=headers)


def _prefers_async(sent: str) -> bool:
    return "respond-async" in (part.split(";")[0].strip().lower() for part in sent.split(","))
