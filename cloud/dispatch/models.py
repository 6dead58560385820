"""OperationCall: every call for a machine, from before it leaves to its answer.

The row is what counts; a wake-up is only a hint. Written by `acceptance` and `progress`, read by `selectors`.
Tests: tests/integration/cloud/dispatch/, tests/integration/cloud/relay/.
"""

from typing import ClassVar

from django.db import models

from cloud.audit.models import ActorKind
from local_daemon.protocol.states import CallState

HAS_CONTENT = ~models.Q(request="", answer="")
"""What was asked or answered is still there."""
_UNUSUAL = ~models.Q(state=CallState.ANSWERED.value)
_OPEN = models.Q(state__in=[CallState.ACCEPTED.value, CallState.SENT.value])


class OperationCall(models.Model):
    """One call of one machine operation, and what came of it. The machine deduplicates by its id."""

    id = models.CharField(primary_key=True, max_length=31, editable=False)
    # No constraint in the database, as in the audit: checking it would lock the organization's row on the hot path, and
    # row-level security already ties the row to the organization in scope.
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    project = models.ForeignKey("tenancy.Project", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    location = models.ForeignKey("connectors.Location", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    connector = models.ForeignKey("connectors.Connector", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    operation = models.CharField(max_length=64)
    principal_kind = models.CharField(max_length=16, choices=ActorKind)
    principal_id = models.CharField(max_length=64)
    principal_label = models.CharField(max_length=200)
    client_address = models.GenericIPAddressField(null=True, blank=True)
    traceparent = models.CharField(max_length=200, blank=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_sha256 = models.CharField(max_length=64)
    # JSON as text: what PostgreSQL's own type refuses (an escaped NUL) a machine may still have to be told.
    request = models.TextField(blank=True, help_text="Parameters, query and body as JSON; emptied by retention.")
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in CallState])
    accepted_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    # Kept when the link is lost: from then on nobody can say that it was not executed.
    sent_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    link_epoch = models.BigIntegerField(null=True, blank=True)
    is_answer_kept = models.BooleanField(default=False, help_text="Mutating or asynchronous: the answer is remembered.")
    is_awaited_elsewhere = models.BooleanField(default=False, help_text="Another process waits for the answer.")
    answer_status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer_code = models.CharField(max_length=40, blank=True, help_text="The error's code; empty for a success.")
    answer = models.TextField(blank=True, help_text="The body, or the problem, as JSON; emptied by retention.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "principal_kind", "principal_id", "idempotency_key"],
                name="dispatch_call_key",
                condition=~models.Q(idempotency_key=""),
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=[state.value for state in CallState]), name="dispatch_call_state"
            ),
            models.CheckConstraint(
                condition=~models.Q(state=CallState.SENT.value) | models.Q(sent_at__isnull=False),
                name="dispatch_call_sent",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["connector", "id"], name="dispatch_call_open", condition=_OPEN),
            models.Index(fields=["deadline_at"], name="dispatch_call_due", condition=_OPEN),
            models.Index(fields=["project", "-id"], name="dispatch_call_project"),
            # What the action log is filtered by, newest first; nearly every call was answered, and is found without.
            models.Index(fields=["organization", "-id"], name="dispatch_call_newest"),
            models.Index(fields=["organization", "operation", "-id"], name="dispatch_call_by_operation"),
            models.Index(fields=["organization", "principal_id", "-id"], name="dispatch_call_by_caller"),
            models.Index(fields=["organization", "state", "-id"], name="dispatch_call_by_state", condition=_UNUSUAL),
            models.Index(fields=["organization", "accepted_at"], name="dispatch_call_content", condition=HAS_CONTENT),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.id}"
