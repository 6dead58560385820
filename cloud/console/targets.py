"""Where the page of what an event of the audit is about would be.

A way and no promise: what is gone, or is not the reader's to see, is not found there. Pure. Used by `admin/audit.py`.
Tests: tests/unit/cloud/console/test_targets.py.
"""

from types import MappingProxyType
from uuid import UUID

from django.contrib.admin.utils import quote
from django.urls import reverse

_PAGES = MappingProxyType(
    {
        "connector": "connectors_connector",
        "enrollment_code": "connectors_enrollmentcode",
        "instance": "connectors_instance",
        "invitation": "tenancy_invitation",
        "location": "connectors_location",
        "membership": "tenancy_membership",
        "organization": "tenancy_organization",
        "project": "tenancy_project",
        "run_schedule": "schedules_runschedule",
        "token": "access_token",
        "user": "accounts_user",
        "workspace": "tenancy_workspace",
    }
)


def url_of(kind: str, target_id: str) -> str:
    """The page of that target; empty where its kind has none, or the id is none of ours."""
    if kind == "call":
        return reverse("admin:dispatch_operationcall_change", args=[quote(target_id)]) if target_id else ""
    if kind not in _PAGES:
        return ""
    try:
        return reverse(f"admin:{_PAGES[kind]}_change", args=[UUID(target_id)])
    except ValueError:
        return ""
