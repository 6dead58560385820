"""What a credential may be allowed to do, as words on the wire.

An operation of either table names the one scope it needs; roles and tokens hold sets of them. Who holds which scope is
decided in the cloud's `permissions`, deliberately not here. Tests: tests/unit/cloud/permissions/.
"""

from enum import StrEnum


class Scope(StrEnum):
    """One right. Reading and changing are separate; deciding a gate is a right of its own."""

    PROJECTS_READ = "projects:read"  # see projects and where they are
    PROJECTS_WRITE = "projects:write"  # create, rename, archive projects
    RUNS_READ = "runs:read"  # see runs and their events
    RUNS_WRITE = "runs:write"  # create, close and cancel runs
    STEPS_READ = "steps:read"  # see steps, attempts, results, validations and logs
    STEPS_WRITE = "steps:write"  # submit, cancel, retry and resolve steps
    GATES_READ = "gates:read"  # see gates
    GATES_DECIDE = "gates:decide"  # approve, reject or answer gates
    ARTIFACTS_READ = "artifacts:read"  # see and download patches and artifacts
    CONNECTORS_READ = "connectors:read"  # see connectors, instances and locations
    CONNECTORS_WRITE = "connectors:write"  # enroll, claim, disable connectors
    TOKENS_READ = "tokens:read"  # see tokens, never their secrets
    TOKENS_WRITE = "tokens:write"  # mint and revoke tokens
    MEMBERS_READ = "members:read"  # see memberships
    MEMBERS_WRITE = "members:write"  # invite, change and remove members
    WORKSPACES_READ = "workspaces:read"  # see workspaces
    WORKSPACES_WRITE = "workspaces:write"  # create and change workspaces
    ORGANIZATION_READ = "organization:read"  # see the organization's own record
    ORGANIZATION_WRITE = "organization:write"  # change the organization
    AUDIT_READ = "audit:read"  # read, verify and export the audit
    USAGE_READ = "usage:read"  # see usage, cost and rollups
