from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0002_run_events")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="runsnapshot", index=models.Index(fields=["project", "-run_id"], name="runs_run_by_project")
        ),
    ]
