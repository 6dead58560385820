from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("access", "0004_token_lines"),
        ("limits", "0001_initial"),
    ]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="usage",
            name="counted",
            field=models.BigIntegerField(
                blank=True, help_text="With what the tokens used that it minted and whose place it took.", null=True
            ),
        ),
        migrations.AddField(
            model_name="runstart",
            name="line",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(), blank=True, null=True, size=None
            ),
        ),
    ]
