import django.db.models.deletion
from django.db import migrations, models

from cloud.tenancy import row_security


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("connectors", "0001_initial"),
        ("tenancy", "0002_audit_fence"),
    ]

    operations = [
        migrations.CreateModel(
            name="OperationCall",
            fields=[
                ("id", models.CharField(editable=False, max_length=31, primary_key=True, serialize=False)),
                ("operation", models.CharField(max_length=64)),
                (
                    "principal_kind",
                    models.CharField(
                        choices=[
                            ("token", "Token"),
                            ("user", "User"),
                            ("connector", "Connector"),
                            ("system", "System"),
                        ],
                        max_length=16,
                    ),
                ),
                ("principal_id", models.CharField(max_length=64)),
                ("principal_label", models.CharField(max_length=200)),
                ("client_address", models.GenericIPAddressField(blank=True, null=True)),
                ("traceparent", models.CharField(blank=True, max_length=200)),
                ("idempotency_key", models.CharField(blank=True, max_length=200)),
                ("request_sha256", models.CharField(max_length=64)),
                (
                    "request",
                    models.TextField(blank=True, help_text="Parameters, query and body as JSON; emptied by retention."),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("accepted", "accepted"),
                            ("sent", "sent"),
                            ("answered", "answered"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                            ("unresolved", "unresolved"),
                        ],
                        max_length=16,
                    ),
                ),
                ("accepted_at", models.DateTimeField()),
                ("deadline_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("link_epoch", models.BigIntegerField(blank=True, null=True)),
                (
                    "is_answer_kept",
                    models.BooleanField(default=False, help_text="Mutating or asynchronous: the answer is remembered."),
                ),
                (
                    "is_awaited_elsewhere",
                    models.BooleanField(default=False, help_text="Another process waits for the answer."),
                ),
                ("answer_status", models.PositiveSmallIntegerField(blank=True, null=True)),
                (
                    "answer_code",
                    models.CharField(blank=True, help_text="The error's code; empty for a success.", max_length=40),
                ),
                (
                    "answer",
                    models.TextField(blank=True, help_text="The body, or the problem, as JSON; emptied by retention."),
                ),
                (
                    "connector",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="connectors.connector",
                    ),
                ),
                (
                    "location",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="connectors.location",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="tenancy.organization"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenancy.project",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["accepted", "sent"])),
                        fields=["connector", "id"],
                        name="dispatch_call_open",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["accepted", "sent"])),
                        fields=["deadline_at"],
                        name="dispatch_call_due",
                    ),
                    models.Index(fields=["project", "-id"], name="dispatch_call_project"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("idempotency_key", ""), _negated=True),
                        fields=("organization", "principal_kind", "principal_id", "idempotency_key"),
                        name="dispatch_call_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["accepted", "sent", "answered", "expired", "cancelled", "unresolved"])
                        ),
                        name="dispatch_call_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "sent"), _negated=True), ("sent_at__isnull", False), _connector="OR"
                        ),
                        name="dispatch_call_sent",
                    ),
                ],
            },
        ),
        row_security.EnableRowSecurity("dispatch_operationcall"),
        row_security.TenantForeignKey("dispatch_operationcall", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("dispatch_operationcall", "location_id", "connectors_location"),
        row_security.TenantForeignKey("dispatch_operationcall", "connector_id", "connectors_connector"),
    ]
