"""When the cloud took an event in, for its retention: those from before count from the migration on."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0009_gate_by_project")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="runevent",
            name="taken_in_at",
            field=models.DateTimeField(db_default=Now(), help_text="By the cloud's clock; `at` is by the machine's."),
        ),
    ]
