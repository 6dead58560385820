from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("schedules", "0006_asked_firings")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="runfiring",
            name="asked_version",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
