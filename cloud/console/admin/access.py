"""Tokens: to see which there are, and to end them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from cloud.access import services
from cloud.access.models import Token
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@admin.register(Token)
class TokenAdmin(TenantAdmin):
    """Credentials, without their secrets."""

    reads = Scope.TOKENS_READ
    list_display = (
        "name",
        "prefix",
        "holder",
        "organization",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("organization", "membership__user")
    search_fields = ("name", "prefix")
    exclude = ("digest",)
    actions = ("revoke_selected",)

    @admin.display(description="of")
    def holder(self, row: Token) -> str:
        """Whose it is."""
        return row.membership.user.email if row.membership else "the installation"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether to offer revoking."""
        return self.may(request, Scope.TOKENS_WRITE)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """End the chosen tokens for good."""
        try:
            for row in rows:
                services.token_revoke(grant=self.grant(request, Scope.TOKENS_WRITE, row), token_id=row.id)
        except errors.RopewayError as error:
            self.tell(request, error)
        else:
            self.message_user(request, "The tokens are revoked.")
