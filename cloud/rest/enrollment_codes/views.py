"""Enrollment codes: each brings one machine in. Tests: tests/integration/cloud/rest/test_machines.py."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from cloud.connectors import enrollment, selectors
from cloud.connectors.models import EnrollmentCode
from cloud.rest import pages
from cloud.rest.endpoints import Asked, endpoint
from cloud.rest.enrollment_codes.messages import (
    EnrollmentCodeCreate,
    EnrollmentCodePage,
    EnrollmentCodeQuery,
    EnrollmentCodeTold,
    EnrollmentCodeView,
)


@endpoint(
    "GET",
    "/enrollment-codes",
    name="enrollment_codes.list",
    title="Enrollment codes",
    service=selectors.enrollment_code_page,
    query=EnrollmentCodeQuery,
    response=EnrollmentCodePage,
)
def enrollment_codes_list(asked: Asked, query: EnrollmentCodeQuery) -> EnrollmentCodePage:
    """The codes within reach, without their text; oldest first."""
    page = selectors.enrollment_code_page(
        grant=asked.grant(), open_only=query.open_only, limit=query.limit, after=pages.after_row(query.cursor)
    )
    return EnrollmentCodePage(**pages.page_told(page, _view))


@endpoint(
    "POST",
    "/enrollment-codes",
    name="enrollment_codes.create",
    title="Make an enrollment code",
    service=enrollment.enrollment_code_create,
    request=EnrollmentCodeCreate,
    response=EnrollmentCodeTold,
    status=201,
)
def enrollment_codes_create(asked: Asked, body: EnrollmentCodeCreate) -> EnrollmentCodeTold:
    """A one-time code with which one machine enrolls; its text is told this once."""
    row, code = enrollment.enrollment_code_create(
        grant=asked.grant(workspace_id=body.workspace_id, project_id=body.project_id),
        ttl=timedelta(minutes=body.minutes),
        label=body.label,
    )
    return EnrollmentCodeTold(code=code, **_facts(row))


@endpoint(
    "GET",
    "/enrollment-codes/{enrollment_code_id}",
    name="enrollment_codes.get",
    title="An enrollment code",
    service=selectors.enrollment_code_get,
    response=EnrollmentCodeView,
)
def enrollment_codes_get(asked: Asked, enrollment_code_id: UUID) -> EnrollmentCodeView:
    """One code, without its text."""
    return _view(selectors.enrollment_code_get(grant=asked.grant(), code_id=enrollment_code_id))


@endpoint(
    "POST",
    "/enrollment-codes/{enrollment_code_id}/revoke",
    name="enrollment_codes.revoke",
    title="Revoke an enrollment code",
    service=enrollment.enrollment_code_revoke,
    response=EnrollmentCodeView,
)
def enrollment_codes_revoke(asked: Asked, enrollment_code_id: UUID) -> EnrollmentCodeView:
    """End a code that no machine has used; ending it again changes nothing."""
    return _view(enrollment.enrollment_code_revoke(grant=asked.grant(), code_id=enrollment_code_id))


def _facts(row: EnrollmentCode) -> dict[str, Any]:
    return {
        "enrollment_code_id": row.id,
        "label": row.label,
        "workspace_id": row.workspace_id,
        "project_id": row.project_id,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "used_at": row.used_at,
        "revoked_at": row.revoked_at,
        "connector_id": row.connector_id,
    }


def _view(row: EnrollmentCode) -> EnrollmentCodeView:
    return EnrollmentCodeView(**_facts(row))


ENDPOINTS = (enrollment_codes_list, enrollment_codes_create, enrollment_codes_get, enrollment_codes_revoke)
