"""Machines: claim one by the code it shows, let one enroll by a code, shut one out; and what each shares."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from cloud.access.principals import Grant
from cloud.connectors import reach, selectors, services
from cloud.connectors.models import Claim, Connector, EnrollmentCode, Instance, Location, PendingConnector, Presence
from cloud.console import claiming, enrolling, lists, machines, projects, viewer
from cloud.console.tenant_admin import TenantAdmin
from cloud.polling.models import Health
from cloud.tenancy.models import Status
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


class HealthFilter(admin.SimpleListFilter):
    """Machines by how they answered when they were asked last."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Its words."""
        return [(word.value, str(word.label).lower()) for word in Health]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """A machine that has gone since is offline, whatever it said before."""
        match self.value():
            case Health.OFFLINE.value:
                return queryset.filter(link_owner="")
            case word if word in Health.values:
                return queryset.exclude(link_owner="").filter(health__health=word)
        return queryset


@admin.register(Connector)
class ConnectorAdmin(MachineAdmin):
    """Machines of the organization, and those that left it."""

    ordering = ("-id",)
    list_display = (
        "label", "is_online", "how_it_is", "usable", "status", "serves", "last_seen_at", "organization", "released_at",
    )  # fmt: skip
    list_select_related = ("organization", "health")
    list_filter = ("status", OnlineFilter, HealthFilter)
    search_fields = ("label",)
    fields = (
        "id", "label", "organization", "status", "serves", "key", "machine", "created_at", "released_at",
        "is_online", "how_it_is", "usable", "last_seen_at", "link_epoch", "link_owner", "link_opened_at",
        "link_address",
    )  # fmt: skip
    readonly_fields = ("key", "serves", "is_online", "how_it_is", "usable")
    actions = ("disable_selected", "enable_selected")
    actions_list = ("claim",)
    actions_detail = ("rename", "switch", "transfer", "release")

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those claimed within the reach, and those that serve a project of it."""
        return reach.connectors_seen(grant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what each serves, as far as that is within reach; one more query."""
        claims = projects.claims_named(viewer.principal_of(request)).select_related("project", "workspace")
        return super().get_queryset(request).prefetch_related(Prefetch("claims", queryset=claims))

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

    @admin.display(description="health")
    def how_it_is(self, row: Connector) -> str:
        """How it answered when it was asked last, and since when it is so."""
        told = getattr(row, "health", None)
        if not row.link_owner:
            return Health.OFFLINE.value
        if told is None or told.health == Health.OFFLINE:
            return "not asked yet"
        because = f" ({told.code})" if told.code else ""
        return f"{told.health}{because} since {told.since:%Y-%m-%d %H:%M}"

    @admin.display(description="executors")
    def usable(self, row: Connector) -> str | None:
        """Those that can be used there, as it said last."""
        told = getattr(row, "health", None)
        return ", ".join(told.executors) or None if told is not None else None

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
        self._switch(request, rows, Status.DISABLED, services.connector_disable, "shut out")

    @admin.action(description="Enable", permissions=["claim"])
    def enable_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Let the chosen machines in again."""
        self._switch(request, rows, Status.ACTIVE, services.connector_enable, "let in")

    def _switch(self, request: HttpRequest, rows: QuerySet[Any], status: Status, service: Any, done: str) -> None:
        def switch(row: Connector) -> None:
            service(grant=self.grant(request, Scope.CONNECTORS_WRITE, row), connector_id=row.id)

        self.act_on(request, rows, done=done, is_done=lambda row: row.status == status, act=switch)


@admin.register(EnrollmentCode)
class EnrollmentCodeAdmin(MachineAdmin):
    """One-time codes, without their text."""

    ordering = ("-id",)
    list_display = (
        "name", "project", "workspace", "created_by", "created_at", "expires_at", "used_at", "revoked_at", "connector",
    )  # fmt: skip
    list_select_related = ("project", "workspace", "connector")
    list_filter = (lists.ProjectFilter,)
    search_fields = ("label", "created_by")
    exclude = ("digest",)
    actions_list = ("create_code",)
    actions_detail = ("revoke",)

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those for what lies within the reach."""
        return selectors.codes_within_reach(grant)

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

    ordering = ("-id",)
    list_display = ("connector", "project", "workspace", "claimed_by", "claimed_at")
    list_select_related = ("connector", "project", "workspace")
    list_filter = (lists.ProjectFilter,)
    search_fields = ("connector__label", "claimed_by")

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those of the machines that are seen, for what is within reach."""
        return projects.claims_named(grant.principal).filter(connector__in=reach.connectors_seen(grant))


class MappedAdmin(MachineAdmin):
    """What the pages of daemons and repositories have in common: each is mapped to a project, or to none. One machine
    serves several, not all of which are within everybody's reach."""

    exclude: Any = ("project",)
    readonly_fields: Any = ("mapped",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the project is called."""
        named = projects.projects_named(viewer.principal_of(request)).filter(pk=OuterRef("project_id"))
        return super().get_queryset(request).annotate(project_name=Subquery(named.values("name")[:1]))

    @admin.display(description="project")
    def mapped(self, row: Any) -> str | None:
        """By name, for who reaches it."""
        return row.project_name or ("out of your reach" if row.project_id else None)


@admin.register(Instance)
class InstanceAdmin(MappedAdmin):
    """Daemons; also those that their machine speaks of no more."""

    ordering = ("-id",)
    list_display = (
        "name", "connector", "mapped", "version", "executors", "last_advertised_at", "missing_since", "instance_id",
    )  # fmt: skip
    list_filter = (("missing_since", admin.EmptyFieldListFilter), lists.ProjectFilter)
    search_fields = ("label", "instance_id__exact", "connector__label")
    actions_detail = ("map_project",)

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those of the machines that are seen."""
        return selectors.instances_within_reach(grant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        return super().get_queryset(request).select_related("connector")

    @admin.display(description="label")
    def name(self, row: Instance) -> str:
        """What it calls itself."""
        return str(row)

    @action(description="Map to a project", url_path="map", permissions=["claim"], icon="alt_route")
    def map_project(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which its repositories get a project."""
        row = self.get_object(request, object_id)
        return machines.instance_page(self, request, row, now=self.mapped(row))


@admin.register(Location)
class LocationAdmin(MappedAdmin):
    """Where projects are."""

    reads = Scope.PROJECTS_READ
    ordering = ("-id",)
    list_display = ("name", "mapped", "instance", "is_shared", "repository_id", "last_advertised_at")
    list_filter = ("is_shared", lists.ProjectFilter)
    search_fields = ("repository_label", "repository_id__exact")
    actions_detail = ("map_project",)

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those that serve a project of the reach, and all of the machines that are held."""
        return selectors.locations_within_reach(grant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        return super().get_queryset(request).select_related("instance__connector")

    @admin.display(description="repository")
    def name(self, row: Location) -> str:
        """What its operator calls it."""
        return str(row)

    @action(description="Map to a project", url_path="map", permissions=["claim"], icon="alt_route")
    def map_project(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it comes to serve a project."""
        row = self.get_object(request, object_id)
        return machines.location_page(self, request, row, now=self.mapped(row))


@admin.register(Presence)
class PresenceAdmin(MachineAdmin):
    """When machines came online, and went."""

    ordering = ("-id",)
    search_fields = ("connector__label",)
    list_display = ("connector", "is_online", "at", "epoch")
    list_select_related = ("connector",)
    list_filter = ("is_online",)

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those of the machines that are seen."""
        return Presence.objects.filter(connector__in=reach.connectors_seen(grant))


class StandingFilter(admin.SimpleListFilter):
    """Machines by what became of their asking."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """Three."""
        return (("waiting", "waiting"), ("claimed", "claimed"), ("expired", "expired"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By whether somebody claimed it, and whether anybody still can."""
        match self.value():
            case "waiting":
                return queryset.filter(connector_id=None, expires_at__gt=datetime.now(UTC))
            case "claimed":
                return queryset.exclude(connector_id=None)
            case "expired":
                return queryset.filter(connector_id=None, expires_at__lte=datetime.now(UTC))
        return queryset


@admin.register(PendingConnector)
class PendingConnectorAdmin(TenantAdmin):
    """Machines that belong to nobody yet; visible to the installation's operators only."""

    reads = Scope.CONNECTORS_WRITE
    ordering = ("-id",)
    list_display = ("label", "machine", "created_at", "expires_at", "connector_id")
    list_filter = (StandingFilter,)
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
