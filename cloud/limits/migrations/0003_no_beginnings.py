from typing import ClassVar

from django.db import migrations

# Django's own, for a text that is unique; nobody looks for calls by how their ids begin.
INDEX = "limits_runstart_call_id_ff8c37c9_like"


class Migration(migrations.Migration):
    atomic = False
    safe_because = "It drops an index that nothing reads, concurrently."
    dependencies: ClassVar[list[tuple[str, str]]] = [("limits", "0002_lines_of_tokens")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(
            f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}",
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX} ON limits_runstart (call_id varchar_pattern_ops)",
        )
    ]
