"""What organizations, workspaces and projects have in common on the wire.

Tests: tests/integration/cloud/rest/test_units.py.
"""

from typing import Annotated, Any

from pydantic import StringConstraints

from cloud.tenancy import units
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Unit
from local_daemon.protocol import wire

Slug = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=1, max_length=units.SLUG_CHARACTERS)
]


class UnitUpdate(wire.WireModel):
    """Another name or slug; what is left out stays."""

    name: wire.Line | None = None
    slug: Slug | None = None


class UnitView(wire.ViewModel):
    """`deletion_due_at`: when it is purged, if nobody resumes it before."""

    name: str
    slug: str
    status: TenantStatus
    version: int
    created_at: wire.Instant
    deletion_due_at: wire.Instant | None


def unit_facts(row: Unit) -> dict[str, Any]:
    """The members that all three have."""
    return {
        "name": row.name,
        "slug": units.unit_slug(row),
        "status": TenantStatus(row.status),
        "version": row.version,
        "created_at": row.created_at,
        "deletion_due_at": row.deletion_due_at,
    }
