from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0003_run_by_project")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="runsnapshot",
            index=models.Index(fields=["organization", "state", "-run_id"], name="runs_run_by_state"),
        ),
    ]
