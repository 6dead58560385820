"""What every page about a tenant's rows has in common: readable by whoever may, changed by services only.

Row-level security already hides other tenants' rows; this adds what a person's role may read, and narrows to their
projects where they are bound to some. Tests: tests/integration/cloud/console/test_pages.py.
"""

from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.console import viewer
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


class TenantAdmin(ModelAdmin):
    """A page that shows rows and changes none; actions call services with a grant."""

    reads: ClassVar[Scope]
    """What a person's role must allow to see these pages."""
    project_lookup: ClassVar[str | None] = None
    """The field that holds a project's id; None: people bound to projects see nothing here."""

    list_per_page = 50
    # Counting all rows costs more than the page; the filtered count is enough.
    show_full_result_count = False
    actions: Any = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows within the viewer's reach."""
        rows = super().get_queryset(request)
        principal = viewer.principal_of(request)
        if principal is None or principal.project_ids is None:
            return rows
        if self.project_lookup is None:
            return rows.none()
        return rows.filter(**{f"{self.project_lookup}__in": principal.project_ids})

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Listed for whoever may see it."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the viewer's role may read this."""
        if request.user.is_superuser:
            return True
        principal = viewer.principal_of(request)
        return principal is not None and self.reads in principal.scopes

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows are made by services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows are changed by services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows stay."""
        return False

    def may(self, request: HttpRequest, scope: Scope) -> bool:
        """Whether the viewer may do this somewhere: for showing a button, not for deciding."""
        if request.user.is_superuser:
            return True
        principal = viewer.principal_of(request)
        return principal is not None and scope in principal.scopes

    def grant(self, request: HttpRequest, scope: Scope, row: Any) -> Grant:
        """The viewer's grant to do this to a row of an organization. Raises Forbidden."""
        principal = viewer.principal_of(request, organization_id=row.organization_id)
        if principal is None:
            raise errors.Forbidden
        return authorization.authorize(principal, scope)

    def tell(self, request: HttpRequest, error: errors.RopewayError) -> None:
        """Show what went wrong."""
        self.message_user(request, error.detail, level=messages.ERROR)
