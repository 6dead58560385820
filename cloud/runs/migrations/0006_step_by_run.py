from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0005_step_by_project")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="stepsnapshot",
            index=models.Index(fields=["organization", "run_id", "-step_id"], name="runs_step_by_run"),
        ),
    ]
