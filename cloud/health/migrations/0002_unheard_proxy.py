from typing import ClassVar

from django.db import migrations, models

from cloud.tenancy import row_security


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("health", "0001_initial")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="UnheardProxy",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("peer", models.CharField(max_length=64)),
            ],
        ),
        row_security.OperatorOnly("health_unheardproxy"),
    ]
