import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids
from cloud.tenancy import row_security


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("connectors", "0003_presence"),
        ("tenancy", "0004_workspace_active"),
    ]

    operations = [
        migrations.CreateModel(
            name="PollState",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("source", models.CharField(max_length=64)),
                (
                    "subject_id",
                    models.CharField(blank=True, help_text="Which installation; empty: the only one.", max_length=64),
                ),
                ("cursor", models.JSONField(default=dict)),
                ("next_poll_at", models.DateTimeField()),
                ("polled_at", models.DateTimeField(blank=True, null=True)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                ("failures_in_a_row", models.PositiveIntegerField(default=0)),
                ("fault", models.CharField(blank=True, max_length=100)),
                ("items", models.PositiveBigIntegerField(default=0)),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PolledItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=200)),
                ("taken_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
                (
                    "state",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="polling.pollstate"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ConnectorHealth",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "health",
                    models.CharField(
                        choices=[
                            ("healthy", "Healthy"),
                            ("degraded", "Degraded"),
                            ("unreachable", "Unreachable"),
                            ("offline", "Offline"),
                        ],
                        max_length=16,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("version", models.CharField(blank=True, max_length=200)),
                ("executors", models.JSONField(default=list, help_text="Names of those that can be used.")),
                ("code", models.CharField(blank=True, help_text="Of the error it answered with.", max_length=40)),
                (
                    "connector",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="health",
                        to="connectors.connector",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("organization", "id"), name="polling_health_tenant")],
            },
        ),
        migrations.AddIndex(
            model_name="pollstate",
            index=models.Index(fields=["next_poll_at"], name="polling_state_due"),
        ),
        migrations.AddConstraint(
            model_name="pollstate",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="polling_state_tenant"),
        ),
        migrations.AddConstraint(
            model_name="pollstate",
            constraint=models.UniqueConstraint(
                fields=("organization", "source", "subject_id"), name="polling_state_once"
            ),
        ),
        migrations.AddIndex(
            model_name="polleditem",
            index=models.Index(fields=["state", "taken_at"], name="polling_item_age"),
        ),
        migrations.AddConstraint(
            model_name="polleditem",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="polling_item_tenant"),
        ),
        migrations.AddConstraint(
            model_name="polleditem",
            constraint=models.UniqueConstraint(fields=("state", "key"), name="polling_item_once"),
        ),
        row_security.EnableRowSecurity("polling_pollstate"),
        row_security.EnableRowSecurity("polling_polleditem"),
        row_security.EnableRowSecurity("polling_connectorhealth"),
        row_security.TenantForeignKey("polling_polleditem", "state_id", "polling_pollstate"),
        row_security.TenantForeignKey("polling_connectorhealth", "connector_id", "connectors_connector"),
    ]
