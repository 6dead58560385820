from typing import ClassVar

import django.utils.timezone
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("schedules", "0004_run_manifests")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="runschedule",
            name="token_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="runschedule",
            name="owned_since",
            field=models.DateTimeField(db_default=Now(), default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="runschedule",
            name="stopped_because",
            field=models.CharField(
                blank=True,
                choices=[
                    ("owner_gone", "Owner Gone"),
                    ("token_ended", "Token Ended"),
                    ("rights_lost", "Rights Lost"),
                ],
                db_default="",
                default="",
                max_length=16,
            ),
        ),
    ]
