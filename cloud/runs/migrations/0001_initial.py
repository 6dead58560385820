import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids
from cloud.tenancy import row_security


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("connectors", "0001_initial"),
        ("tenancy", "0002_audit_fence"),
    ]

    operations = [
        migrations.CreateModel(
            name="EventCursor",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("log_id", models.CharField(max_length=31)),
                ("seq", models.BigIntegerField()),
                ("hash", models.CharField(max_length=64)),
                ("epoch", models.BigIntegerField(help_text="The link that last moved it.")),
                ("moved_at", models.DateTimeField()),
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
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("location", "log_id"), name="runs_cursor_once")],
            },
        ),
        migrations.CreateModel(
            name="GateSnapshot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("run_id", models.CharField(max_length=31)),
                ("as_of", models.DateTimeField(help_text="When the machine recorded it.")),
                ("seq", models.BigIntegerField(help_text="The position in the machine's log that says so.")),
                ("view", models.JSONField(help_text="The machine's view, whole.")),
                ("gate_id", models.CharField(max_length=31)),
                ("step_id", models.CharField(max_length=31)),
                (
                    "kind",
                    models.CharField(
                        choices=[("before", "before"), ("question", "question"), ("after", "after")], max_length=16
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("answered", "answered"),
                            ("expired", "expired"),
                        ],
                        max_length=16,
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("expires_at", models.DateTimeField()),
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
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"
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
                "indexes": [models.Index(fields=["organization", "state", "-gate_id"], name="runs_gate_recent")],
                "constraints": [models.UniqueConstraint(fields=("location", "gate_id"), name="runs_gate_once")],
            },
        ),
        migrations.CreateModel(
            name="RunEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("log_id", models.CharField(max_length=31)),
                ("seq", models.BigIntegerField()),
                ("event_type", models.CharField(max_length=40)),
                ("at", models.DateTimeField()),
                ("run_id", models.CharField(blank=True, max_length=31)),
                ("step_id", models.CharField(blank=True, max_length=31)),
                ("call_id", models.CharField(blank=True, max_length=31)),
                ("record", models.JSONField(help_text="The event as the machine logged it.")),
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
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"
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
                    models.Index(fields=["organization", "id"], name="runs_event_feed"),
                    models.Index(fields=["project", "id"], name="runs_event_project"),
                ],
                "constraints": [models.UniqueConstraint(fields=("location", "log_id", "seq"), name="runs_event_once")],
            },
        ),
        migrations.CreateModel(
            name="RunSnapshot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("run_id", models.CharField(max_length=31)),
                ("as_of", models.DateTimeField(help_text="When the machine recorded it.")),
                ("seq", models.BigIntegerField(help_text="The position in the machine's log that says so.")),
                ("view", models.JSONField(help_text="The machine's view, whole.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("running", "running"),
                            ("waiting", "waiting"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=16,
                    ),
                ),
                ("title", models.CharField(blank=True, max_length=200)),
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
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"
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
                    models.Index(fields=["organization", "-run_id"], name="runs_run_recent"),
                    models.Index(fields=["project", "state", "-run_id"], name="runs_run_project"),
                ],
                "constraints": [models.UniqueConstraint(fields=("location", "run_id"), name="runs_run_once")],
            },
        ),
        migrations.CreateModel(
            name="StepSnapshot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("run_id", models.CharField(max_length=31)),
                ("as_of", models.DateTimeField(help_text="When the machine recorded it.")),
                ("seq", models.BigIntegerField(help_text="The position in the machine's log that says so.")),
                ("view", models.JSONField(help_text="The machine's view, whole.")),
                ("step_id", models.CharField(max_length=31)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("preparing", "preparing"),
                            ("running", "running"),
                            ("collecting", "collecting"),
                            ("validating", "validating"),
                            ("retry_wait", "retry_wait"),
                            ("waiting", "waiting"),
                            ("needs_attention", "needs_attention"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=16,
                    ),
                ),
                ("title", models.CharField(blank=True, max_length=200)),
                ("executor", models.CharField(blank=True, max_length=40)),
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
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"
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
                    models.Index(fields=["organization", "-step_id"], name="runs_step_recent"),
                    models.Index(fields=["location", "run_id"], name="runs_step_run"),
                ],
                "constraints": [models.UniqueConstraint(fields=("location", "step_id"), name="runs_step_once")],
            },
        ),
        row_security.EnableRowSecurity("runs_runsnapshot"),
        row_security.EnableRowSecurity("runs_stepsnapshot"),
        row_security.EnableRowSecurity("runs_gatesnapshot"),
        row_security.EnableRowSecurity("runs_runevent"),
        row_security.EnableRowSecurity("runs_eventcursor"),
        row_security.TenantForeignKey("runs_runsnapshot", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("runs_runsnapshot", "location_id", "connectors_location"),
        row_security.TenantForeignKey("runs_stepsnapshot", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("runs_stepsnapshot", "location_id", "connectors_location"),
        row_security.TenantForeignKey("runs_gatesnapshot", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("runs_gatesnapshot", "location_id", "connectors_location"),
        row_security.TenantForeignKey("runs_runevent", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("runs_runevent", "location_id", "connectors_location"),
        row_security.TenantForeignKey("runs_eventcursor", "location_id", "connectors_location"),
    ]
