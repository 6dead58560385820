from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("connectors", "0003_presence")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name=name,
            name="mapping_version",
            field=models.PositiveIntegerField(db_default=1, default=1),
        )
        for name in ("instance", "location")
    ]
