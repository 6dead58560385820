"""Machines: claim one by the code it shows, let one enroll by a code, shut one out; and what each shares."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from cloud.connectors import services
from cloud.connectors.models import Claim, Connector, EnrollmentCode, Instance, Location, PendingConnector, Presence
from cloud.console import claiming, enrolling
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@admin.register(Connector)
class ConnectorAdmin(TenantAdmin):
    """Machines of the organization."""

    reads = Scope.CONNECTORS_READ
    project_lookup = "claims__project_id"
    list_display = ("label", "is_online", "status", "organization", "last_seen_at", "link_epoch", "link_owner")
    list_select_related = ("organization",)
    list_filter = ("status",)
    search_fields = ("label",)
    fields = (
        "id", "label", "organization", "status", "key", "machine", "created_at",
        "is_online", "last_seen_at", "link_epoch", "link_owner", "link_opened_at", "link_address",
    )  # fmt: skip
    readonly_fields = ("key",)
    actions = ("disable_selected", "enable_selected")
    actions_list = ("claim",)

    @admin.display(boolean=True, description="online")
    def is_online(self, row: Connector) -> bool:
        """Whether a link is open now."""
        return bool(row.link_owner)

    @admin.display(description="public key")
    def key(self, row: Connector) -> str:
        """In hexadecimal."""
        return bytes(row.public_key).hex()

    def has_claim_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer what changes machines."""
        return self.may(request, Scope.CONNECTORS_WRITE)

    @action(description="Claim a machine", url_path="claim", permissions=["claim"], icon="add_link")
    def claim(self, request: HttpRequest) -> HttpResponse:
        """The page on which a machine is claimed by the code it shows."""
        return claiming.claim_page(self, request)

    @admin.action(description="Disable", permissions=["claim"])
    def disable_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Shut the chosen machines out."""
        self._each(request, rows, services.connector_disable, "The machines are shut out.")

    @admin.action(description="Enable", permissions=["claim"])
    def enable_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Let the chosen machines in again."""
        self._each(request, rows, services.connector_enable, "The machines may connect again.")

    def _each(self, request: HttpRequest, rows: QuerySet[Any], service: Any, done: str) -> None:
        try:
            for row in rows:
                service(grant=self.grant(request, Scope.CONNECTORS_WRITE, row), connector_id=row.id)
        except errors.RopewayError as error:
            self.tell(request, error)
        else:
            self.message_user(request, done)


@admin.register(EnrollmentCode)
class EnrollmentCodeAdmin(TenantAdmin):
    """One-time codes, without their text."""

    reads = Scope.CONNECTORS_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("label", "project", "created_by", "created_at", "expires_at", "used_at", "connector")
    list_select_related = ("project", "connector")
    exclude = ("digest",)
    actions_list = ("create_code",)

    def has_create_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer making one."""
        return self.may(request, Scope.CONNECTORS_WRITE)

    @action(description="Make a code", url_path="create", permissions=["create"], icon="add")
    def create_code(self, request: HttpRequest) -> HttpResponse:
        """The page on which a code is made and told once."""
        return enrolling.code_page(self, request)


@admin.register(Claim)
class ClaimAdmin(TenantAdmin):
    """Which machine serves which project, and by whose decision."""

    reads = Scope.CONNECTORS_READ
    project_lookup = "project_id"
    list_display = ("connector", "project", "claimed_by", "claimed_at")
    list_select_related = ("connector", "project")


@admin.register(Instance)
class InstanceAdmin(TenantAdmin):
    """Daemons."""

    reads = Scope.CONNECTORS_READ
    project_lookup = "connector__claims__project_id"
    list_display = ("label", "instance_id", "connector", "version", "executors", "last_advertised_at")
    list_select_related = ("connector",)


@admin.register(Location)
class LocationAdmin(TenantAdmin):
    """Where projects are."""

    reads = Scope.PROJECTS_READ
    project_lookup = "project_id"
    list_display = ("repository_label", "project", "instance", "is_shared", "repository_id", "last_advertised_at")
    list_select_related = ("project", "instance")
    list_filter = ("is_shared",)
    search_fields = ("repository_label", "=repository_id")


@admin.register(Presence)
class PresenceAdmin(TenantAdmin):
    """When machines came online, and went."""

    reads = Scope.CONNECTORS_READ
    project_lookup = "connector__claims__project_id"
    ordering = ("-id",)
    list_display = ("connector", "is_online", "at", "epoch")
    list_select_related = ("connector",)
    list_filter = ("is_online",)


@admin.register(PendingConnector)
class PendingConnectorAdmin(TenantAdmin):
    """Machines that belong to nobody yet; visible to the installation's operators only."""

    reads = Scope.CONNECTORS_WRITE
    list_display = ("label", "machine", "created_at", "expires_at", "connector_id")
    exclude = ("claim_digest", "public_key")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An organization sees a waiting machine only by its code."""
        return bool(request.user.is_superuser)
