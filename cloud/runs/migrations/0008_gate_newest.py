from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0007_step_by_state")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="gatesnapshot", index=models.Index(fields=["organization", "-gate_id"], name="runs_gate_newest")
        ),
    ]
