import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids
from cloud.tenancy import row_security

# Takes one waiting machine by the code it shows, from within a tenant's scope, where the table itself is out of reach.
PENDING_TAKE = """
CREATE FUNCTION pending_connector_take(wanted bytea, as_connector uuid) RETURNS TABLE (
    public_key bytea, label varchar, machine jsonb, has_expired boolean
) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE connectors_pendingconnector SET connector_id = as_connector
     WHERE claim_digest = wanted AND connector_id IS NULL
 RETURNING public_key, label, machine, expires_at <= now()
$$
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PendingConnector",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("public_key", models.BinaryField(max_length=32, unique=True)),
                ("claim_digest", models.BinaryField(max_length=32, unique=True)),
                ("label", models.CharField(max_length=200)),
                ("machine", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("connector_id", models.UUIDField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Connector",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("label", models.CharField(max_length=200)),
                ("public_key", models.BinaryField(max_length=32, unique=True)),
                (
                    "machine",
                    models.JSONField(default=dict, help_text="What the machine said of itself: system, version."),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("disabled", "Disabled")], default="active", max_length=16
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("last_seen_at", models.DateTimeField(blank=True, null=True)),
                ("link_epoch", models.BigIntegerField(default=0)),
                ("link_owner", models.CharField(blank=True, max_length=100)),
                ("link_channel", models.CharField(blank=True, max_length=100)),
                ("link_opened_at", models.DateTimeField(blank=True, null=True)),
                ("link_address", models.GenericIPAddressField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Claim",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("claimed_by", models.CharField(max_length=200)),
                ("claimed_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.project"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.workspace"
                    ),
                ),
                (
                    "connector",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claims",
                        to="connectors.connector",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EnrollmentCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("label", models.CharField(blank=True, max_length=200)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "connector",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="connectors.connector",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.project"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.workspace"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("instance_id", models.CharField(help_text="The daemon's own name for itself.", max_length=31)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("version", models.CharField(blank=True, max_length=200)),
                (
                    "executors",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), blank=True, default=list, size=None
                    ),
                ),
                ("last_advertised_at", models.DateTimeField()),
                (
                    "connector",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="connectors.connector",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Location",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("repository_id", models.CharField(max_length=31)),
                ("repository_label", models.CharField(blank=True, max_length=200)),
                ("is_shared", models.BooleanField(default=True)),
                ("last_advertised_at", models.DateTimeField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="locations",
                        to="connectors.instance",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.project"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="connector",
            index=models.Index(
                condition=models.Q(("link_owner", ""), _negated=True),
                fields=["link_owner"],
                name="connectors_link_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="connector",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="connectors_connector_tenant"),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.UniqueConstraint(fields=("connector",), name="connectors_claim_once"),
        ),
        migrations.AddConstraint(
            model_name="enrollmentcode",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="connectors_code_tenant"),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="connectors_instance_tenant"),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(fields=("connector", "instance_id"), name="connectors_instance_once"),
        ),
        migrations.AddIndex(
            model_name="location",
            index=models.Index(fields=["project"], name="connectors_location_project"),
        ),
        migrations.AddConstraint(
            model_name="location",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="connectors_location_tenant"),
        ),
        migrations.AddConstraint(
            model_name="location",
            constraint=models.UniqueConstraint(fields=("instance", "repository_id"), name="connectors_location_once"),
        ),
        row_security.EnableRowSecurity("connectors_enrollmentcode"),
        row_security.EnableRowSecurity("connectors_connector"),
        row_security.EnableRowSecurity("connectors_claim"),
        row_security.EnableRowSecurity("connectors_instance"),
        row_security.EnableRowSecurity("connectors_location"),
        row_security.OperatorOnly("connectors_pendingconnector"),
        row_security.TenantForeignKey("connectors_enrollmentcode", "workspace_id", "tenancy_workspace"),
        row_security.TenantForeignKey("connectors_enrollmentcode", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("connectors_enrollmentcode", "connector_id", "connectors_connector"),
        row_security.TenantForeignKey("connectors_claim", "connector_id", "connectors_connector"),
        row_security.TenantForeignKey("connectors_claim", "workspace_id", "tenancy_workspace"),
        row_security.TenantForeignKey("connectors_claim", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("connectors_instance", "connector_id", "connectors_connector"),
        row_security.TenantForeignKey("connectors_location", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("connectors_location", "instance_id", "connectors_instance"),
        migrations.RunSQL(PENDING_TAKE, "DROP FUNCTION pending_connector_take(bytea, uuid)"),
    ]
