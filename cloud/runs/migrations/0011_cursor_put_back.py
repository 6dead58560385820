"""Since when a machine's log lacks what was taken in of it."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("runs", "0010_event_taken_in")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="eventcursor",
            name="put_back_at",
            field=models.DateTimeField(
                blank=True, help_text="When the machine's log was seen to lack what was taken in of it.", null=True
            ),
        ),
    ]
