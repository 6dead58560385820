"""Tokens: which there are, making them, rotating them and ending them."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action

from cloud.access import selectors, services
from cloud.access.models import Token
from cloud.access.principals import Grant
from cloud.console import allotting, asking, minting, targets
from cloud.console.tenant_admin import TenantAdmin
from cloud.tenancy.models import Project
from local_daemon.protocol.scopes import Scope


@admin.register(Token)
class TokenAdmin(TenantAdmin):
    """Credentials, without their secrets: everyone's for who administers members, else one's own."""

    reads = Scope.TOKENS_READ
    list_display = (
        "name", "state", "kind", "prefix", "holder", "organization", "created_at", "expires_at", "last_used_at",
    )  # fmt: skip
    list_filter = ("kind",)
    search_fields = ("name", "prefix__startswith")
    ordering = ("-id",)
    fields = (
        "name", "state", "kind", "prefix", "holder_named", "scopes", "reach", "maker", "created_at", "expires_at",
        "revoked_at", "last_used_at", "held_since", "organization",
    )  # fmt: skip
    readonly_fields = ("state", "holder_named", "reach")
    actions = ("revoke_selected",)
    actions_list = ("mint",)
    actions_detail = ("limits", "rotate", "revoke", "adopt")

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Everyone's for who administers members, else one's own."""
        return selectors.tokens_within_reach(grant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        return super().get_queryset(request).select_related("membership__user", "organization")

    @admin.display(description="of")
    def holder(self, row: Token) -> str:
        """Whose it is."""
        return row.membership.user.email if row.membership else "the installation"

    @admin.display(description="of")
    def holder_named(self, row: Token) -> str:
        """The same by name too, with the way to what they are in the organization."""
        if row.membership is None:
            return self.holder(row)
        person = row.membership.user
        url = targets.url_of("membership", str(row.membership.pk))
        who = f"{person.full_name} <{person.email}>" if person.full_name else person.email
        return format_html('<a class="console-link" href="{}">{}</a>, {}', url, who, row.membership.role)

    @admin.display(description="projects")
    def reach(self, row: Token) -> str:
        """How far it goes, by name."""
        if row.project_ids is None:
            return "every project of its holder's"
        found = Project.objects.filter(pk__in=row.project_ids).order_by("name").values_list("name", flat=True)
        return ", ".join(found) or "none that is left"

    @admin.display(description="state")
    def state(self, row: Token) -> str:
        """Whether it works."""
        return selectors.token_state(row, now=datetime.now(UTC)).value

    def has_revoke_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer ending and rotating."""
        return self.may(request, Scope.TOKENS_WRITE)

    def has_mint_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer making one: in one organization's name."""
        return asking.organizations_may(request, Scope.TOKENS_WRITE)

    def has_use_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to show what it may use, and used."""
        return self.may(request, Scope.USAGE_READ)

    @action(description="Limits", url_path="limits", permissions=["use"], icon="speed")
    def limits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which one sees what is left of its limits, and sets them."""
        return allotting.token_page(self, request, self.get_object(request, object_id))

    @action(description="Mint a token", url_path="mint", permissions=["mint"], icon="key")
    def mint(self, request: HttpRequest) -> HttpResponse:
        """The page on which a token is made and told once."""
        return minting.mint_page(self, request)

    @action(description="Rotate", url_path="rotate", permissions=["revoke"], icon="autorenew")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which another one takes its place."""
        return minting.rotate_page(self, request, self.get_object(request, object_id))

    @action(description="Revoke", url_path="revoke", permissions=["revoke"], icon="block")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it ends."""
        return minting.revoke_page(self, request, self.get_object(request, object_id))

    @action(description="Take over", url_path="adopt", permissions=["mint"], icon="front_hand")
    def adopt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which a service's token changes hands."""
        return minting.adopt_page(self, request, self.get_object(request, object_id))

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """End the chosen tokens for good."""

        def revoke(row: Token) -> None:
            services.token_revoke(grant=self.grant(request, Scope.TOKENS_WRITE, row), token_id=row.id)

        self.act_on(request, rows, done="revoked", is_done=lambda row: row.revoked_at is not None, act=revoke)
