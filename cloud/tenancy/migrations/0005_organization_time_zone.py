from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("tenancy", "0004_workspace_active")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="organization",
            name="time_zone",
            field=models.CharField(
                db_default="UTC", default="UTC", help_text="By whose clocks it lives: an IANA name.", max_length=64
            ),
        ),
    ]
