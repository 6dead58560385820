"""The audit: what happened, its chain, its checkpoints and its counts. To look at; nobody changes it."""

from django.contrib import admin

from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditRollup, AuditRollupCursor, AuditSeal
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol.scopes import Scope


@admin.register(AuditEvent)
class AuditEventAdmin(TenantAdmin):
    """What happened, newest first."""

    reads = Scope.AUDIT_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("at", "event_type", "outcome", "actor_label", "target_kind", "target_id", "call_id", "duration_ms")
    list_filter = ("event_type", "outcome", "actor_kind")
    search_fields = ("=call_id", "=target_id", "actor_label")
    exclude = ("transaction_id",)


@admin.register(AuditSeal)
class AuditSealAdmin(TenantAdmin):
    """The chain, link by link."""

    reads = Scope.AUDIT_READ
    ordering = ("-id",)
    list_display = ("seq", "organization", "event_id", "digest", "sealed_at")
    list_select_related = ("organization",)
    fields = ("seq", "organization", "event_id", "digest", "previous_digest", "event_digest", "sealed_at")
    readonly_fields = ("digest", "previous_digest", "event_digest")

    @admin.display(description="hash")
    def digest(self, row: AuditSeal) -> str:
        """In hexadecimal."""
        return bytes(row.hash).hex()

    @admin.display(description="previous hash")
    def previous_digest(self, row: AuditSeal) -> str:
        """In hexadecimal."""
        return bytes(row.prev_hash).hex()

    @admin.display(description="event's hash")
    def event_digest(self, row: AuditSeal) -> str:
        """In hexadecimal."""
        return bytes(row.event_hash).hex()


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(TenantAdmin):
    """The chain's signed heads."""

    reads = Scope.AUDIT_READ
    ordering = ("-id",)
    list_display = ("seq", "organization", "digest", "signed_at")
    list_select_related = ("organization",)
    fields = ("seq", "organization", "digest", "signing_key", "signed_at")
    readonly_fields = ("digest", "signing_key")

    @admin.display(description="hash")
    def digest(self, row: AuditCheckpoint) -> str:
        """In hexadecimal."""
        return bytes(row.hash).hex()

    @admin.display(description="public key")
    def signing_key(self, row: AuditCheckpoint) -> str:
        """In hexadecimal."""
        return bytes(row.public_key).hex()


@admin.register(AuditRollup)
class AuditRollupAdmin(TenantAdmin):
    """How often what happened."""

    reads = Scope.USAGE_READ
    ordering = ("-bucket_start", "event_type")
    list_display = ("bucket_start", "period", "event_type", "outcome", "count", "organization")
    list_select_related = ("organization",)
    list_filter = ("period", "event_type", "outcome")


@admin.register(AuditRollupCursor)
class AuditRollupCursorAdmin(TenantAdmin):
    """When the audit was last counted, and how far."""

    reads = Scope.USAGE_READ
    list_display = ("organization", "seq", "aggregated_at")
    list_select_related = ("organization",)
