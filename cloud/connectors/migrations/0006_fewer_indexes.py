from typing import ClassVar

from django.db import migrations

from cloud.tenancy import field_indexes


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("connectors", "0005_claim_guesses")]

    # Others begin with the same column, and answer all that these did.
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        field_indexes.RemoveFieldIndexesConcurrently(
            "enrollmentcode.organization",
            "connector.organization",
            "claim.connector",
            "instance.organization",
            "instance.connector",
            "location.organization",
            "location.project",
            "location.instance",
        )
    ]
