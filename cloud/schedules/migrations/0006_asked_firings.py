from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("schedules", "0005_run_schedule_owners")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="runfiring",
            name="asked_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="runfiring",
            name="asked_membership_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="runfiring",
            name="asked_token_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="scheduledtask",
            name="place",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
    ]
