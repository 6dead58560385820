from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("tenancy", "0003_tenants")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="project",
            name="is_workspace_active",
            field=models.BooleanField(db_default=True, default=True),
        ),
        # The owner is subject to the fence too, so it is lifted for the statement, inside the migration's transaction.
        migrations.RunSQL(
            """
            ALTER TABLE tenancy_project NO FORCE ROW LEVEL SECURITY;
            ALTER TABLE tenancy_workspace NO FORCE ROW LEVEL SECURITY;
            UPDATE tenancy_project p SET is_workspace_active = false
              FROM tenancy_workspace w WHERE w.id = p.workspace_id AND w.status <> 'active';
            ALTER TABLE tenancy_workspace FORCE ROW LEVEL SECURITY;
            ALTER TABLE tenancy_project FORCE ROW LEVEL SECURITY
            """,
            migrations.RunSQL.noop,
        ),
    ]
