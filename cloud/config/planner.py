"""The relay's Planner, filled by the cloud: tokens, the funnel, and the cloud's own operations.

Translation only. Given to the relay's HTTP and MCP surfaces by the wiring. Tests: tests/integration/cloud/relay/.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cloud.access.authentication import authenticate_bearer
from cloud.access.principals import Principal
from cloud.dispatch import answers, lifecycle, selectors, services
from cloud.limits import admission
from cloud.operations import table
from cloud.tenancy import scope
from cloud.tenancy.threads import in_database_thread
from relay.ports import Asked, Caller, PlannerAnswer


class CloudPlanner:
    """Who may ask, and what is answered."""

    async def authenticate(self, token: str) -> Caller:
        """Who presents the token."""
        return await in_database_thread(authenticate_bearer, token)

    async def count(self, caller: Caller, operation: str, *, client_address: str | None) -> None:
        """Against the caller's rate, and their organization's."""
        await in_database_thread(_count, _principal(caller)(), operation, client_address)

    async def call(self, asked: Asked) -> PlannerAnswer:
        """Through the one funnel."""
        return await services.dispatch_operation(
            principal=_principal(asked.credential),
            operation_name=asked.operation,
            project_id=asked.project_id,
            parameters=asked.parameters,
            query=asked.query,
            body=asked.body,
            idempotency_key=asked.idempotency_key,
            location=asked.location,
            deadline_s=asked.deadline_s,
            traceparent=asked.traceparent,
            client_address=asked.client_address,
            respond_async=asked.respond_async,
        )

    async def perform(
        self,
        credential: str | Caller,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        client_address: str | None,
    ) -> dict[str, Any]:
        """An operation of the cloud itself."""

        def perform() -> dict[str, Any]:
            answer = table.perform(
                operation, principal=_principal(credential)(), arguments=arguments, client_address=client_address
            )
            return answer.model_dump(mode="json")

        return await in_database_thread(perform)

    async def call_state(
        self, credential: str | Caller, call_id: str, *, client_address: str | None = None
    ) -> dict[str, Any]:
        """One of the caller's own calls."""
        return await in_database_thread(_call_state, _principal(credential), call_id, client_address)


def _principal(credential: str | Caller) -> Callable[[], Principal]:
    if isinstance(credential, str):
        return lambda: authenticate_bearer(credential)
    assert isinstance(credential, Principal)
    return lambda: credential


def _count(principal: Principal, operation: str, client_address: str | None) -> None:
    with scope.organization(principal.organization_id):
        admission.call_count(principal, operation, client_address=client_address)


def _call_state(identify: Callable[[], Principal], call_id: str, client_address: str | None) -> dict[str, Any]:
    principal = identify()
    _count(principal, "calls.get", client_address)
    row = selectors.call_get(principal=principal, call_id=call_id)
    state: dict[str, Any] = {
        "call_id": row.id,
        "operation": row.operation,
        "state": row.state,
        "accepted_at": row.accepted_at.isoformat(),
        "deadline_at": row.deadline_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }
    if row.state not in lifecycle.OPEN:
        answer = answers.answer_of(row)
        state["status"] = answer.status
        state["problem" if answer.problem is not None else "body"] = answer.problem or answer.body
    return state
