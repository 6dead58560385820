"""The sidebar: the pages in the order of a day's work, those only that the viewer may read.

Named by the settings. Tests: tests/integration/cloud/console/test_dashboard.py.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

_OPERATORS = "Installation"
"""What only its operators look after; others meet the people of their organization among its members."""
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Work",
        (
            ("Runs", "rocket_launch", "runs.RunSnapshot"),
            ("Gates", "gavel", "runs.GateSnapshot"),
            ("Steps", "footprint", "runs.StepSnapshot"),
            ("Schedules", "schedule", "schedules.RunSchedule"),
            ("Calls", "call_made", "dispatch.OperationCall"),
        ),
    ),
    (
        "Machines",
        (
            ("Machines", "computer", "connectors.Connector"),
            ("Repositories", "folder_copy", "connectors.Location"),
            ("Daemons", "memory", "connectors.Instance"),
            ("Enrollment codes", "vpn_key", "connectors.EnrollmentCode"),
            ("Comings and goings", "sensors", "connectors.Presence"),
        ),
    ),
    (
        "People and access",
        (
            ("Members", "group", "tenancy.Membership"),
            ("Invitations", "mail", "tenancy.Invitation"),
            ("Tokens", "key", "access.Token"),
            ("Projects", "category", "tenancy.Project"),
            ("Workspaces", "workspaces", "tenancy.Workspace"),
            ("Organizations", "apartment", "tenancy.Organization"),
        ),
    ),
    (
        "Record",
        (
            ("Audit", "history", "audit.AuditEvent"),
            ("Counts", "bar_chart", "audit.AuditRollup"),
            ("Usage", "payments", "limits.Usage"),
            ("Limits", "speed", "limits.Limit"),
        ),
    ),
    (
        _OPERATORS,
        (
            ("People", "person", "accounts.User"),
            ("Worker’s tasks", "timer", "schedules.ScheduledTask"),
            ("Polled sources", "sync", "polling.PollState"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups that hold anything for the viewer."""
    first = {"title": "", "items": [_item("Dashboard", "dashboard", reverse("admin:index"))]}
    groups = [{"title": title, "separator": True, "items": _items(request, items)} for title, items in GROUPS]
    seen = [group for group in groups if request.user.is_superuser or group["title"] != _OPERATORS]
    return [first, *(group for group in seen if group["items"])]


def _items(request: HttpRequest, items: tuple[tuple[str, str, str], ...]) -> list[dict[str, Any]]:
    pages = {model._meta.label: page for model, page in admin.site._registry.items()}
    return [
        _item(title, icon, reverse(f"admin:{label.lower().replace('.', '_')}_changelist"))
        for title, icon, label in items
        if pages[label].has_view_permission(request)
    ]


def _item(title: str, icon: str, link: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": link}
