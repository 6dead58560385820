"""The one table of cloud operations: what can be asked of the cloud itself, by whom, and which function answers.

The same type as the machine's table (`protocol.operation`), but these never cross a relay. Surfaces call `perform`:
it parses, opens the tenant's scope, authorizes, audits a denial, and hands on.
Tests: tests/integration/cloud/operations/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError

from cloud.access import authorization
from cloud.access.principals import Grant, Principal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.operations import answers, messages
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors, wire
from local_daemon.protocol import messages as wire_messages
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOperation:
    """An operation and the function that answers it, in the tenant's open scope."""

    operation: Operation
    answer: Callable[[Grant, Any], BaseModel]


_ALL = (
    CloudOperation(
        operation=Operation(
            name="projects.list",
            title="Projects",
            description="The projects this credential reaches, and on which machines each is shared now.",
            method="GET",
            path="/projects",
            scope=Scope.PROJECTS_READ,
            response=messages.ProjectPage,
        ),
        answer=answers.projects_list,
    ),
    CloudOperation(
        operation=Operation(
            name="connectors.list",
            title="Machines",
            description="The machines of the organization and whether each is connected.",
            method="GET",
            path="/connectors",
            scope=Scope.CONNECTORS_READ,
            response=messages.ConnectorPage,
        ),
        answer=answers.connectors_list,
    ),
    CloudOperation(
        operation=Operation(
            name="connectors.claim",
            title="Claim a machine",
            description="Take the machine that shows this claim code into a project.",
            method="POST",
            path="/connectors/claim",
            scope=Scope.CONNECTORS_WRITE,
            request=messages.ConnectorClaim,
            response=messages.ConnectorView,
            mutates=True,
            success_status=201,
        ),
        answer=answers.connectors_claim,
    ),
    CloudOperation(
        operation=Operation(
            name="enrollment_codes.create",
            title="Make an enrollment code",
            description="A one-time code with which one machine enrolls into a project; told this once.",
            method="POST",
            path="/enrollment-codes",
            scope=Scope.CONNECTORS_WRITE,
            request=messages.EnrollmentCodeCreate,
            response=messages.EnrollmentCodeView,
            mutates=True,
            success_status=201,
        ),
        answer=answers.enrollment_codes_create,
    ),
    CloudOperation(
        operation=Operation(
            name="tokens.list",
            title="Tokens",
            description="The organization's tokens, without their secrets.",
            method="GET",
            path="/tokens",
            scope=Scope.TOKENS_READ,
            response=messages.TokenPage,
        ),
        answer=answers.tokens_list,
    ),
    CloudOperation(
        operation=Operation(
            name="tokens.mint",
            title="Mint a token",
            description="A new token that can do at most what you can; its secret is told this once.",
            method="POST",
            path="/tokens",
            scope=Scope.TOKENS_WRITE,
            request=messages.TokenMint,
            response=messages.TokenView,
            mutates=True,
            success_status=201,
        ),
        answer=answers.tokens_mint,
    ),
    CloudOperation(
        operation=Operation(
            name="tokens.revoke",
            title="Revoke a token",
            description="End a token for good.",
            method="POST",
            path="/tokens/revoke",
            scope=Scope.TOKENS_WRITE,
            request=messages.TokenRevoke,
            response=messages.TokenView,
            mutates=True,
            is_destructive=True,
        ),
        answer=answers.tokens_revoke,
    ),
    CloudOperation(
        operation=Operation(
            name="audit.events",
            title="Audit",
            description="Who asked what, and how it went; newest first.",
            method="GET",
            path="/audit",
            scope=Scope.AUDIT_READ,
            query=messages.AuditQuery,
            response=messages.AuditPage,
        ),
        answer=answers.audit_events,
    ),
    CloudOperation(
        operation=Operation(
            name="audit.rollup",
            title="Audit counts",
            description="How often what happened, by hour or by day; counted by the worker from the sealed audit.",
            method="GET",
            path="/audit/rollup",
            scope=Scope.USAGE_READ,
            query=messages.RollupQuery,
            response=messages.RollupPage,
        ),
        answer=answers.audit_rollup,
    ),
)

TABLE: Mapping[str, CloudOperation] = MappingProxyType({row.operation.name: row for row in _ALL})


def perform(name: str, *, principal: Principal, arguments: Mapping[str, Any]) -> BaseModel:
    """Answer one cloud operation. Blocking: surfaces call it in a database thread, with no scope open.

    Raises UnsupportedOperation for a name that is not in the table, InvalidRequest, Forbidden, NotFound."""
    found = TABLE.get(name)
    if found is None:
        raise errors.UnsupportedOperation(f"There is no operation {name!r}.")
    asked = _parsed(found.operation, arguments)
    with scope.organization(principal.organization_id):
        return found.answer(_authorized(principal, found.operation, getattr(asked, "project_id", None)), asked)


def _parsed(operation: Operation, arguments: Mapping[str, Any]) -> BaseModel:
    model = operation.request or operation.query or wire_messages.Empty
    try:
        return model.model_validate(wire.storable(dict(arguments)))
    except ValidationError as error:
        raise errors.InvalidRequest(errors=field_faults(error)) from error
    except ValueError as error:
        raise errors.InvalidRequest(f"The request is not taken: {error}.") from None


def _authorized(principal: Principal, operation: Operation, project_id: UUID | None) -> Grant:
    """The grant; a denial is audited, as it is for a machine's operations."""
    try:
        return authorization.authorize(principal, operation.scope, project_id=project_id)
    except (errors.Forbidden, errors.NotFound) as denial:
        with recorded("call_deny"):
            audit.event_record(
                event_type=EventType.CALL_DENIED,
                principal=principal,
                target_kind="project" if project_id else "organization",
                target_id=str(project_id or principal.organization_id),
                outcome=Outcome.ERROR,
                details={"operation": operation.name, "code": denial.code},
            )
        raise


def field_faults(error: ValidationError) -> list[dict[str, str]]:
    """Which fields are wrong and why, without what was sent: it may hold a secret."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [{"field": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in found[:20]]
