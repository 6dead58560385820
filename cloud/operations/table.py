"""The one table of cloud operations: what can be asked of the cloud itself, by whom, and which function answers.

The same type as the machine's table (`protocol.operations`), but these never cross a relay. Each noun lists its own in
a module beside this one. Surfaces call `perform`: it opens the tenant's scope, counts the call, parses, authorizes,
audits a denial, and hands on. Tests: tests/integration/cloud/operations/.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from cloud.access import authorization
from cloud.access.principals import Principal
from cloud.audit import services as auditing
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.limits import admission
from cloud.operations import audit, machines, projects, schedules, tokens, usage, work
from cloud.operations.operation import CloudOperation
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors, faults, messages, wire
from local_daemon.protocol.operation import Operation

_ALL = (
    *projects.OPERATIONS,
    *work.OPERATIONS,
    *schedules.OPERATIONS,
    *machines.OPERATIONS,
    *usage.OPERATIONS,
    *audit.OPERATIONS,
    *tokens.OPERATIONS,
)

_NAMED_CHARACTERS = 64

TABLE: Mapping[str, CloudOperation] = MappingProxyType({row.operation.name: row for row in _ALL})


def perform(
    name: str, *, principal: Principal, arguments: Mapping[str, Any], client_address: str | None = None
) -> BaseModel:
    """Answer one cloud operation. Blocking: surfaces call it in a database thread, with no scope open.

    Raises UnsupportedOperation for a name that is not in the table, RateLimited, InvalidRequest, Forbidden, NotFound,
    and what the operation itself refuses."""
    found = TABLE.get(name)
    if found is None:
        raise errors.UnsupportedOperation(f"There is no operation {name!r}.")
    with scope.organization(principal.organization_id):
        admission.call_count(principal, name, client_address=client_address)
        asked = _parsed(found.operation, arguments)
        project_id = getattr(asked, "project_id", None)
        try:
            grant = authorization.authorize(principal, found.operation.scope, project_id=project_id)
            return found.answer(grant, asked)
        except (errors.Forbidden, errors.NotFound) as denial:
            _tell(principal, found.operation, asked, denial, client_address)
            raise


def _parsed(operation: Operation, arguments: Mapping[str, Any]) -> BaseModel:
    model = operation.request or operation.query or messages.Empty
    try:
        return model.model_validate(wire.storable(dict(arguments)))
    except ValidationError as error:
        raise errors.InvalidRequest(errors=field_faults(error)) from error
    except ValueError as error:
        raise errors.InvalidRequest(f"The request is not taken: {error}.") from None


def _tell(
    principal: Principal,
    operation: Operation,
    asked: BaseModel,
    denial: errors.RopewayError,
    client_address: str | None,
) -> None:
    """A denial is audited, as it is for a machine's operations, whoever said it: the table, or the row that was asked
    for."""
    named = {name: str(value)[:_NAMED_CHARACTERS] for name, value in asked if name.endswith("_id") and value}
    project_id = named.get("project_id")
    with recorded("call_deny"):
        auditing.event_record(
            event_type=EventType.CALL_DENIED,
            principal=principal,
            target_kind="project" if project_id else "organization",
            target_id=project_id or str(principal.organization_id),
            outcome=Outcome.ERROR,
            client_address=client_address,
            details={"operation": operation.name, "code": denial.code, **named},
        )


def field_faults(error: ValidationError) -> list[dict[str, str]]:
    """Which fields are wrong and why, without what was sent: it may hold a secret."""
    return [{"field": each["field"], "message": each["problem"]} for each in faults.field_faults(error)]
