from typing import ClassVar

from django.db import migrations

# Django's own, for a text that is unique; nobody looks for calls by how their ids begin.
INDEX = "dispatch_operationcall_id_a7da503b_like"


class Migration(migrations.Migration):
    atomic = False
    safe_because = "It drops an index that nothing reads, concurrently."
    dependencies: ClassVar[list[tuple[str, str]]] = [("dispatch", "0007_fewer_indexes")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(
            f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}",
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX} ON dispatch_operationcall (id varchar_pattern_ops)",
        )
    ]
