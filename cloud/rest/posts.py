"""A role and where it holds, on the wire: what members have and invitations offer.

Tests: tests/integration/cloud/rest/test_people.py.
"""

from typing import Any
from uuid import UUID

from pydantic import Field

from cloud.permissions.roles import Role
from cloud.tenancy.models import Reach
from cloud.tenancy.posts import Post
from local_daemon.protocol import limits, wire


class PostGiven(wire.WireModel):
    """A role in one workspace, in some projects, or, where neither is named, in the whole organization."""

    role: Role
    workspace_id: UUID | None = None
    project_ids: tuple[UUID, ...] | None = Field(default=None, min_length=1, max_length=limits.LIST_ITEMS)

    def post(self) -> Post:
        """As the services take it."""
        return Post(role=self.role, workspace_id=self.workspace_id, project_ids=self.project_ids)


class PostView(wire.ViewModel):
    """A role and where it holds; null in both: in the whole organization."""

    role: Role
    workspace_id: UUID | None
    project_ids: tuple[UUID, ...] | None


def post_facts(row: Reach) -> dict[str, Any]:
    """The members of the view."""
    return {
        "role": Role(row.role),
        "workspace_id": row.workspace_id,
        "project_ids": None if row.project_ids is None else tuple(row.project_ids),
    }
