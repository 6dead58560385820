"""What one route is: its method and path, what it takes and answers, and the service whose scope it needs.

A function of a noun's `views.py` becomes an Endpoint by `@endpoint`; `routes` gathers them, `resources` answers them,
`schema` describes them. Deliberately no rule of any noun: services decide. Tests: tests/integration/cloud/rest/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from cloud.access import authorization
from cloud.access.principals import Grant, Principal
from cloud.tenancy import grants
from local_daemon.protocol import errors, limits
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope

PREFIX = "/api/cloud/v1"
BODY_BYTES = 64 * limits.KIB

Service = Callable[..., Any]


class IfMatch(StrEnum):
    """What becomes of the If-Match header."""

    IGNORED = "ignored"  # there is no version to compare with
    HONOURED = "honoured"  # compared where it is sent
    REQUIRED = "required"  # refused without, so that nobody overwrites what they have not seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as an endpoint's function sees it: who asks, and what was said beside path, query and body."""

    principal: Principal
    scope: Scope | None
    expected_version: int | None
    client_address: str | None
    headers: Mapping[str, str] = field(repr=False)

    def grant(
        self, service: Service | None = None, *, workspace_id: UUID | None = None, project_id: UUID | None = None
    ) -> Grant:
        """The grant for what the endpoint needs, or for another service; of a workspace or project where one is named.

        Raises Forbidden, NotFound."""
        wanted = self.scope if service is None else grants.scope_of(service)
        assert wanted is not None
        return authorization.authorize(self.principal, wanted, workspace_id=workspace_id, project_id=project_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that says more than its model: a status of its own, or headers."""

    body: Any
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedByFunnel(Exception):
    """The funnel, or the machine, refused a call; the audit was told there."""

    def __init__(self, error: errors.RopewayError) -> None:
        super().__init__(error.detail)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path. Its function takes what was asked, the parameters of the path, and `query` and `body`
    where it has them. `service` says which scope is needed, or `needed` where what is read takes no grant. `tells`:
    headers of its own in the answer, and what each says.
    `operation`: a machine answers this one, through the funnel, which also counts the call."""

    name: str
    title: str
    description: str
    method: str
    path: str
    answer: Callable[..., Any]
    service: Service | None
    response: type[BaseModel] | None
    needed: Scope | None = None
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
    if_match: IfMatch = IfMatch.IGNORED
    body_bytes: int = BODY_BYTES
    operation: str = ""
    media_type: str = "application/json"
    tells: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_for_machine(self) -> bool:
        """Whether a machine answers."""
        return bool(self.operation)

    @property
    def is_read(self) -> bool:
        """Whether it only tells, so that a caller may ask whether that is still the same."""
        return self.method == "GET" and self.response is not None

    @property
    def scope(self) -> Scope | None:
        """What a credential must be allowed; None: it only has to be one."""
        if self.operation:
            return REMOTE_OPERATIONS[self.operation].scope
        return self.needed if self.service is None else grants.scope_of(self.service)


def endpoint(
    method: str, path: str, *, name: str, title: str, service: Service | None = None, **facts: Any
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a function the endpoint that it answers; its docstring is the description."""

    def made(answer: Callable[..., Any]) -> Endpoint:
        return Endpoint(
            name=name,
            title=title,
            description=" ".join((answer.__doc__ or "").split()),
            method=method,
            path=path,
            answer=answer,
            service=service,
            **facts,
        )

    return made
