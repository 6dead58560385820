from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0008_gate_newest")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="gatesnapshot", index=models.Index(fields=["project", "-gate_id"], name="runs_gate_by_project")
        ),
    ]
