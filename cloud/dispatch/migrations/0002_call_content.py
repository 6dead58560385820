"""Which calls retention has yet to empty, oldest first."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("dispatch", "0001_initial")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            model_name="operationcall",
            index=models.Index(
                condition=models.Q(("answer", ""), ("request", ""), _negated=True),
                fields=["organization", "accepted_at"],
                name="dispatch_call_content",
            ),
        ),
    ]
