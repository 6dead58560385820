"""What tenancy asks of a grant, and how far one reaches.

`cloud.access` makes grants and stands above, so their shape is said here as protocols. A service names the scope it
needs with `needs`: surfaces read it from there to authorize, and a grant for something else is refused. Pure. Tests:
tests/integration/cloud/access/test_authorization.py.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

from cloud.audit import services as audit
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

P = ParamSpec("P")
R = TypeVar("R")


class Grantee(audit.Actor, Protocol):
    """Who asks: an actor with rights and a reach."""

    @property
    def scopes(self) -> frozenset[Scope]:
        """What they may do."""

    @property
    def project_ids(self) -> frozenset[UUID] | None:
        """In which projects; None: in every one."""

    @property
    def workspace_id(self) -> UUID | None:
        """The one workspace that they reach as a whole, for who does not reach the whole organization."""

    @property
    def membership_id(self) -> UUID | None:
        """As whom; None for the installation itself."""


class Grant(Protocol):
    """That somebody may do one thing."""

    @property
    def principal(self) -> Grantee:
        """Who."""

    @property
    def scope(self) -> Scope:
        """What."""

    @property
    def organization_id(self) -> UUID:
        """Where."""


def needs(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Say which scope a service's `grant` must be for; kept as its `scope`, for surfaces and the reviewed matrix."""

    def declare(service: Callable[P, R]) -> Callable[P, R]:
        @wraps(service)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            grant: Any = kwargs["grant"]
            if grant.scope is not scope:
                raise errors.Forbidden(f"This needs a grant for {scope}, not for {grant.scope}.", scope=scope.value)
            return service(*args, **kwargs)

        checked.scope = scope  # type: ignore[attr-defined]
        return checked

    return declare


def scope_of(service: Callable[..., object]) -> Scope:
    """Which scope a service's grant must be for."""
    wanted: Scope = service.scope  # type: ignore[attr-defined]  # `needs` put it there
    return wanted


def reaches_everything(who: Grantee) -> bool:
    """Whether they reach the whole organization."""
    return who.project_ids is None and who.workspace_id is None


def reaches_workspace(who: Grantee, workspace_id: UUID | None) -> bool:
    """Whether they reach the whole workspace."""
    return reaches_everything(who) or (workspace_id is not None and who.workspace_id == workspace_id)


def reaches_project(who: Grantee, *, project_id: UUID | None, workspace_id: UUID | None) -> bool:
    """Whether they reach the project, which is in that workspace."""
    if reaches_workspace(who, workspace_id):
        return True
    return project_id is not None and who.project_ids is not None and project_id in who.project_ids


def whole_organization(grant: Grant) -> None:
    """Raise Forbidden for who reaches a part of the organization only."""
    if not reaches_everything(grant.principal):
        raise errors.Forbidden("This credential is bound to a part of the organization.")
