"""Which role may do what: one immutable table and pure questions about it.

Deliberately knows no tenant, no token and no database: `cloud.access` asks here and adds who and where.
Tests: tests/unit/cloud/permissions/test_matrix.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from cloud.permissions.roles import Role
from local_daemon.protocol.scopes import Scope

_READ_WORK = frozenset(
    {
        Scope.PROJECTS_READ,
        Scope.RUNS_READ,
        Scope.STEPS_READ,
        Scope.GATES_READ,
        Scope.ARTIFACTS_READ,
        Scope.CONNECTORS_READ,
    }
)
_WORK = _READ_WORK | {Scope.RUNS_WRITE, Scope.STEPS_WRITE, Scope.GATES_DECIDE}
_RUN_A_WORKSPACE = _WORK | {
    Scope.WORKSPACES_READ,
    Scope.PROJECTS_WRITE,
    Scope.CONNECTORS_WRITE,
    Scope.MEMBERS_READ,
    Scope.MEMBERS_WRITE,
    Scope.TOKENS_READ,
    Scope.TOKENS_WRITE,
    Scope.AUDIT_READ,
    Scope.USAGE_READ,
}
_EVERYTHING = frozenset(Scope)
_ADMINISTRATION = frozenset(
    {
        Scope.PROJECTS_WRITE,
        Scope.CONNECTORS_WRITE,
        Scope.TOKENS_WRITE,
        Scope.MEMBERS_WRITE,
        Scope.WORKSPACES_WRITE,
        Scope.ORGANIZATION_WRITE,
    }
)

PLANNER_SCOPES = _EVERYTHING - _ADMINISTRATION
"""What a planner's token may hold at most: a program that reads untrusted text administers nothing."""

SCOPES_OF: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.ORG_OWNER: _EVERYTHING,
        Role.ORG_ADMIN: _EVERYTHING - {Scope.ORGANIZATION_WRITE},
        Role.WORKSPACE_ADMIN: _RUN_A_WORKSPACE,
        Role.PROJECT_OPERATOR: _WORK | {Scope.TOKENS_READ, Scope.TOKENS_WRITE, Scope.AUDIT_READ, Scope.USAGE_READ},
        Role.PROJECT_VIEWER: _READ_WORK | {Scope.AUDIT_READ, Scope.USAGE_READ},
    }
)


def scopes_of(role: Role) -> frozenset[Scope]:
    """Everything the role may do."""
    return SCOPES_OF[role]


def allows(role: Role, scope: Scope) -> bool:
    """Whether the role may do this."""
    return scope in SCOPES_OF[role]


def may_give(scopes: frozenset[Scope], role: Role) -> bool:
    """Whether somebody with these scopes may make another one this: nobody gives, changes or takes what they lack."""
    return Scope.MEMBERS_WRITE in scopes and SCOPES_OF[role] <= scopes
