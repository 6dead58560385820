from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("access", "0002_token_kinds")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="SignInFailures",
            fields=[
                (
                    "key",
                    models.BinaryField(max_length=32, primary_key=True, serialize=False),
                ),
                ("failures", models.PositiveSmallIntegerField()),
                ("ends_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
