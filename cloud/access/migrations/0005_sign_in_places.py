from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("access", "0004_token_lines")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="SignInPlace",
            fields=[
                (
                    "key",
                    models.BinaryField(editable=False, max_length=32, primary_key=True, serialize=False),
                ),
                ("known_until", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
