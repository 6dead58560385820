from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("dispatch", "0005_call_by_caller")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="operationcall",
            index=models.Index(
                fields=["organization", "state", "-id"],
                name="dispatch_call_by_state",
                condition=models.Q(("state", "answered"), _negated=True),
            ),
        ),
    ]
