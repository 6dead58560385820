"""Machines: claim one by the code it shows, let one enroll by a code, shut one out; and what each shares."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from cloud.access import authorization
from cloud.access.principals import Principal
from cloud.connectors import reach, services
from cloud.connectors.models import Claim, Connector, EnrollmentCode, Instance, Location, PendingConnector, Presence
from cloud.console import claiming, enrolling, lists, machines
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


class MachineAdmin(TenantAdmin):
    """What the pages about machines have in common."""

    reads = Scope.CONNECTORS_READ

    def has_claim_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer what changes machines."""
        return self.may(request, Scope.CONNECTORS_WRITE)


class OnlineFilter(admin.SimpleListFilter):
    """Machines with a link, or without."""

    title = "online"
    parameter_name = "online"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """Two."""
        return (("yes", "online"), ("no", "offline"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the process that holds the link."""
        match self.value():
            case "yes":
                return queryset.exclude(link_owner="")
            case "no":
                return queryset.filter(link_owner="")
        return queryset


@admin.register(Connector)
class ConnectorAdmin(MachineAdmin):
    """Machines of the organization, and those that left it."""

    ordering = ("-id",)
    list_display = ("label", "is_online", "status", "serves", "last_seen_at", "organization", "released_at")
    list_select_related = ("organization",)
    list_filter = ("status", OnlineFilter)
    search_fields = ("label",)
    fields = (
        "id", "label", "organization", "status", "serves", "key", "machine", "created_at", "released_at",
        "is_online", "last_seen_at", "link_epoch", "link_owner", "link_opened_at", "link_address",
    )  # fmt: skip
    readonly_fields = ("key", "serves", "is_online")
    actions = ("disable_selected", "enable_selected")
    actions_list = ("claim",)
    actions_detail = ("rename", "switch", "transfer", "release")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what each serves; one more query."""
        return super().get_queryset(request).prefetch_related("claims__project", "claims__workspace")

    def bounded(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Those claimed within their reach, and those that serve a project of theirs."""
        seen = reach.connectors_seen(authorization.authorize(principal, Scope.CONNECTORS_READ))
        return rows.filter(pk__in=seen.values("pk"))

    @admin.display(description="serves")
    def serves(self, row: Connector) -> str:
        """What it was claimed for."""
        claim = next(iter(row.claims.all()), None)
        if claim is None:
            return ""
        return str(claim.project or claim.workspace or "the organization")

    @admin.display(boolean=True, description="online")
    def is_online(self, row: Connector) -> bool:
        """Whether a link is open now."""
        return bool(row.link_owner)

    @admin.display(description="public key")
    def key(self, row: Connector) -> str:
        """In hexadecimal."""
        return bytes(row.public_key).hex()

    @action(description="Claim a machine", url_path="claim", permissions=["claim"], icon="add_link")
    def claim(self, request: HttpRequest) -> HttpResponse:
        """The page on which a machine is claimed by the code it shows."""
        return claiming.claim_page(self, request)

    @action(description="Rename", url_path="rename", permissions=["claim"], icon="edit")
    def rename(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it gets another name."""
        return machines.rename_page(self, request, self.get_object(request, object_id))

    @action(description="Disable or enable", url_path="switch", permissions=["claim"], icon="power_settings_new")
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it is shut out or let in."""
        return machines.status_page(self, request, self.get_object(request, object_id))

    @action(description="Move", url_path="transfer", permissions=["claim"], icon="swap_horiz")
    def transfer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it comes to serve another project."""
        return machines.transfer_page(self, request, self.get_object(request, object_id))

    @action(description="Unclaim", url_path="unclaim", permissions=["claim"], icon="link_off")
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it leaves."""
        return machines.release_page(self, request, self.get_object(request, object_id))

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
class EnrollmentCodeAdmin(MachineAdmin):
    """One-time codes, without their text."""

    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("name", "project", "created_by", "created_at", "expires_at", "used_at", "revoked_at", "connector")
    list_select_related = ("project", "connector")
    list_filter = (lists.ProjectFilter,)
    search_fields = ("label", "created_by")
    exclude = ("digest",)
    actions_list = ("create_code",)
    actions_detail = ("revoke",)

    @admin.display(description="label")
    def name(self, row: EnrollmentCode) -> str:
        """What it is for; a row can be opened by it even where nobody said."""
        return str(row)

    @action(description="Revoke", url_path="revoke", permissions=["claim"], icon="block")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it ends."""
        return machines.code_page(self, request, self.get_object(request, object_id))

    @action(description="Make a code", url_path="create", permissions=["claim"], icon="add")
    def create_code(self, request: HttpRequest) -> HttpResponse:
        """The page on which a code is made and told once."""
        return enrolling.code_page(self, request)


@admin.register(Claim)
class ClaimAdmin(MachineAdmin):
    """Which machine serves what, and by whose decision."""

    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("connector", "project", "workspace", "claimed_by", "claimed_at")
    list_select_related = ("connector", "project", "workspace")
    list_filter = (lists.ProjectFilter,)
    search_fields = ("connector__label", "claimed_by")


@admin.register(Instance)
class InstanceAdmin(MachineAdmin):
    """Daemons; also those that their machine speaks of no more."""

    ordering = ("-id",)
    list_display = (
        "name", "connector", "project", "version", "executors", "last_advertised_at", "missing_since", "instance_id",
    )  # fmt: skip
    search_fields = ("label", "instance_id__exact", "connector__label")
    actions_detail = ("map_project",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        return super().get_queryset(request).select_related("connector", "project")

    def bounded(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Those of the machines that they see."""
        seen = reach.connectors_seen(authorization.authorize(principal, Scope.CONNECTORS_READ))
        return rows.filter(connector__in=seen)

    @admin.display(description="label")
    def name(self, row: Instance) -> str:
        """What it calls itself."""
        return str(row)

    @action(description="Map to a project", url_path="map", permissions=["claim"], icon="alt_route")
    def map_project(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which its repositories get a project."""
        return machines.instance_page(self, request, self.get_object(request, object_id))


@admin.register(Location)
class LocationAdmin(MachineAdmin):
    """Where projects are."""

    reads = Scope.PROJECTS_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("name", "project", "instance", "is_shared", "repository_id", "last_advertised_at")
    list_filter = ("is_shared", lists.ProjectFilter)
    search_fields = ("repository_label", "repository_id__exact")
    actions_detail = ("map_project",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        return super().get_queryset(request).select_related("project", "instance__connector")

    @admin.display(description="repository")
    def name(self, row: Location) -> str:
        """What its operator calls it."""
        return str(row)

    @action(description="Map to a project", url_path="map", permissions=["claim"], icon="alt_route")
    def map_project(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it comes to serve a project."""
        return machines.location_page(self, request, self.get_object(request, object_id))


@admin.register(Presence)
class PresenceAdmin(MachineAdmin):
    """When machines came online, and went."""

    project_lookup = "connector__claims__project_id"
    ordering = ("-id",)
    search_fields = ("connector__label",)
    list_display = ("connector", "is_online", "at", "epoch")
    list_select_related = ("connector",)
    list_filter = ("is_online",)


@admin.register(PendingConnector)
class PendingConnectorAdmin(TenantAdmin):
    """Machines that belong to nobody yet; visible to the installation's operators only."""

    reads = Scope.CONNECTORS_WRITE
    ordering = ("-id",)
    list_display = ("label", "machine", "created_at", "expires_at", "connector_id")
    search_fields = ("label",)
    exclude = ("claim_digest", "public_key")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """All of them, which are of no organization, for an operator."""
        if not request.user.is_superuser:
            raise PermissionDenied
        return PendingConnector.objects.order_by("-id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An organization sees a waiting machine only by its code."""
        return bool(request.user.is_superuser)
