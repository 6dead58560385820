import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids
from cloud.tenancy import row_security

# Finds one token by its digest for whoever asks, with all that decides whether it is good: authentication is one query,
# and the application needs no right to read other tenants' rows for it.
FIND_FUNCTION = """
CREATE FUNCTION access_token_find(wanted bytea) RETURNS TABLE (
    id uuid, organization_id uuid, organization_status varchar, name varchar, scopes varchar[], project_ids uuid[],
    expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz,
    membership_id uuid, role varchar, is_member boolean, member_project_ids uuid[]
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id, t.organization_id, o.status, t.name, t.scopes, t.project_ids,
           t.expires_at, t.revoked_at, t.last_used_at,
           t.membership_id, m.role, m.status = 'active' AND u.is_active,
           CASE WHEN m.project_id IS NOT NULL THEN ARRAY[m.project_id]
                WHEN m.workspace_id IS NOT NULL THEN
                     ARRAY(SELECT p.id FROM tenancy_project p WHERE p.workspace_id = m.workspace_id)
           END
      FROM access_token t
      JOIN tenancy_organization o ON o.id = t.organization_id
      LEFT JOIN tenancy_membership m ON m.id = t.membership_id
      LEFT JOIN accounts_user u ON u.id = m.user_id
     WHERE t.digest = wanted
$$
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Token",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("prefix", models.CharField(help_text="How the secret begins, to tell tokens apart.", max_length=16)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), size=None),
                ),
                (
                    "project_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(),
                        blank=True,
                        help_text="Empty: every project.",
                        null=True,
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "membership",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenancy.membership",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("organization", "id"), name="access_token_tenant")],
            },
        ),
        row_security.EnableRowSecurity("access_token", is_read_by_owner=True),
        row_security.TenantForeignKey("access_token", "membership_id", "tenancy_membership"),
        migrations.RunSQL(FIND_FUNCTION, "DROP FUNCTION access_token_find(bytea)"),
    ]
