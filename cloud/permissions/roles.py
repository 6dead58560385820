"""The roles a member can hold, as words.

What a role may do is `matrix.py`; who holds one is a Membership in `cloud.tenancy`. Pure.
Tests: tests/unit/cloud/permissions/.
"""

from enum import StrEnum


class Role(StrEnum):
    """What a person is in an organization."""

    ORG_OWNER = "org_owner"  # everything, and the only one who makes owners
    ORG_ADMIN = "org_admin"  # everything but the organization's own record
    WORKSPACE_ADMIN = "workspace_admin"  # runs one workspace: its projects, members and machines
    PROJECT_OPERATOR = "project_operator"  # works in projects: runs, steps, gates
    PROJECT_VIEWER = "project_viewer"  # reads projects
