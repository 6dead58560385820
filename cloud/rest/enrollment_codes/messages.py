"""Enrollment codes on the wire; a code's text is told once. Tests: tests/integration/cloud/rest/test_machines.py."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.connectors import enrollment
from cloud.rest import queries
from local_daemon.protocol import limits, messages, wire

_MINUTES_MAX = int(enrollment.ENROLLMENT_TTL_MAX.total_seconds()) // 60


class ServedBy(wire.WireModel):
    """What a machine serves: a project, a workspace's projects, or, where neither is named, any of the organization."""

    workspace_id: UUID | None = None
    project_id: UUID | None = None


class EnrollmentCodeQuery(messages.PageQuery):
    """Enrollment codes, oldest first: all, or those that a machine may still use."""

    open_only: queries.Flag = False


class EnrollmentCodeCreate(ServedBy):
    """A one-time code for one machine."""

    minutes: wire.Integer = Field(default=60, ge=1, le=_MINUTES_MAX)
    label: Annotated[str, StringConstraints(max_length=limits.TITLE_CHARACTERS)] = ""


class EnrollmentCodeView(wire.ViewModel):
    """A one-time code, without its text."""

    enrollment_code_id: UUID
    label: str
    workspace_id: UUID | None
    project_id: UUID | None
    created_by: str
    created_at: wire.Instant
    expires_at: wire.Instant
    used_at: wire.Instant | None
    revoked_at: wire.Instant | None
    connector_id: UUID | None


class EnrollmentCodeTold(EnrollmentCodeView):
    """A new code with its text, told this once."""

    code: str


class EnrollmentCodePage(wire.ViewModel):
    """Enrollment codes within reach."""

    items: tuple[EnrollmentCodeView, ...]
    next_cursor: str | None
