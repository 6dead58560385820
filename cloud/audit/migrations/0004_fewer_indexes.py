from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

# Other indexes begin with the organization, and answer all that these did.
DROPPED = {
    "auditevent": "audit_auditevent_organization_id_4b1fe3b9",
    "auditseal": "audit_auditseal_organization_id_868ff832",
}


def _without_index(model_name: str, index: str) -> migrations.operations.base.Operation:
    """As `AlterField` would, without the lock that it takes on the table."""
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(
                f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON audit_{model_name} (organization_id)",
            )
        ],
        state_operations=[
            migrations.AlterField(
                model_name=model_name,
                name="organization",
                field=models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.DO_NOTHING,
                    to="tenancy.organization",
                ),
            )
        ],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("audit", "0003_notify_unheard")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        _without_index(model_name, index) for model_name, index in DROPPED.items()
    ]
