"""Enrollment codes: each brings one machine in. Tests: tests/integration/cloud/rest/test_machines.py."""

from datetime import timedelta
from typing import Any

from cloud.connectors import enrollment, selectors
from cloud.connectors.models import EnrollmentCode
from cloud.rest.collection import Collection
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.enrollment_codes.messages import (
    EnrollmentCodeCreate,
    EnrollmentCodePage,
    EnrollmentCodeQuery,
    EnrollmentCodeTold,
    EnrollmentCodeView,
)


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


_all = Collection(
    name="enrollment_codes",
    path="/enrollment-codes",
    id_name="enrollment_code_id",
    service_id="code_id",
    view=_view,
    response=EnrollmentCodeView,
)

ENDPOINTS = (
    _all.list(
        "Enrollment codes",
        "The codes within reach, without their text; oldest first.",
        selectors.enrollment_code_page,
        query=EnrollmentCodeQuery,
        page=EnrollmentCodePage,
    ),
    enrollment_codes_create,
    _all.get("An enrollment code", "One code, without its text.", selectors.enrollment_code_get),
    _all.act(
        "revoke",
        "Revoke an enrollment code",
        "End a code that no machine has used; ending it again changes nothing.",
        enrollment.enrollment_code_revoke,
        if_match=IfMatch.IGNORED,
    ),
)
