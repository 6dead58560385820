from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("schedules", "0003_run_schedules")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="runschedule",
            name="manifest",
            field=models.JSONField(blank=True, help_text="A RunManifest: steps that depend on each other.", null=True),
        ),
    ]
