from typing import ClassVar

from django.db import migrations

from cloud.tenancy import field_indexes


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("access", "0005_sign_in_places")]

    # Others begin with the same column, and answer all that these did.
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        field_indexes.RemoveFieldIndexesConcurrently("token.organization")
    ]
