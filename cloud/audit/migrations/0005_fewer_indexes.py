from typing import Any, ClassVar

import django.db.models.deletion
from django.db import migrations, models

# Constraints begin with the organization, and answer all that these did.
DROPPED = {
    "auditcheckpoint": "audit_auditcheckpoint_organization_id_e35e426e",
    "auditpruning": "audit_auditpruning_organization_id_65f4319c",
    "auditrollup": "audit_auditrollup_organization_id_dcacfb73",
}
_UNCHECKED: dict[str, Any] = {"db_constraint": False, "on_delete": django.db.models.deletion.DO_NOTHING}
KINDS: dict[str, dict[str, Any]] = {
    "auditcheckpoint": _UNCHECKED,
    "auditpruning": _UNCHECKED,
    "auditrollup": {"on_delete": django.db.models.deletion.CASCADE},
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
                field=models.ForeignKey(db_index=False, to="tenancy.organization", **KINDS[model_name]),
            )
        ],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("audit", "0004_fewer_indexes")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        _without_index(model_name, index) for model_name, index in DROPPED.items()
    ]
