"""The machine behind a run or a project, asked through the one funnel: recorded and audited there as `cloudctl`.

Called by `runs` and `gates`. Tests: tests/journeys/test_cloudctl.py.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cloud.access.principals import Principal
from cloud.cloudctl import acting
from cloud.dispatch.services import dispatch_operation_sync
from cloud.runs import selectors
from cloud.runs.models import Snapshot
from local_daemon.protocol import envelopes, errors
from local_daemon.protocol.operations import OPERATIONS

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a project's work is; `location` None: its only place."""

    principal: Principal
    project_id: str
    location: str | None

    def ask(
        self,
        operation: str,
        parameters: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """One operation's answer; call it with no scope open. Raises every error of the table."""
        asked = OPERATIONS[operation]
        answered = dispatch_operation_sync(
            principal=self.principal,
            operation_name=operation,
            project_id=self.project_id,
            parameters=parameters or {},
            query=query or {},
            body=body,
            idempotency_key=f"cloudctl:{secrets.token_hex(16)}" if asked.mutates else None,
            location=self.location,
            deadline_s=asked.deadline_s,
        )
        answer: dict[str, Any] = answered.answer.body
        return answer


def machine_of_project(organization: str, project_name: str, location: str | None) -> Machine:
    """Where that project is. Raises NotFound."""
    with acting.acting_in(organization) as principal:
        project_id = acting.project_named(project_name)
    return Machine(principal=principal, project_id=str(project_id), location=location)


def machine_of_run(organization: str, run_id: str) -> Machine:
    """Where a run is. Raises NotFound."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.run_get)
        return _machine_of(principal, selectors.run_get(grant=grant, run_id=run_id))


def machine_of_gate(organization: str, gate_id: str) -> Machine:
    """Where a gate is. Raises NotFound."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.gate_get)
        return _machine_of(principal, selectors.gate_get(grant=grant, gate_id=gate_id))


def body_checked(model: type[M], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent, as its operation wants it. Raises InvalidRequest that names each field, before anybody is asked."""
    try:
        return model.model_validate(given).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise errors.InvalidRequest("What was given does not hold.", errors=envelopes.readable_errors(error)) from None


def _machine_of(principal: Principal, row: Snapshot) -> Machine:
    return Machine(principal=principal, project_id=str(row.project_id), location=str(row.location_id))
