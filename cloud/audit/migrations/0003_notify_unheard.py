from typing import ClassVar

from django.db import migrations

# The condition costs a fraction of calling a function that looks at it.
UNHEARD = """
CREATE OR REPLACE TRIGGER audit_event_notify AFTER INSERT ON audit_auditevent FOR EACH ROW
    WHEN (current_setting('app.audit_is_heard', true) IS DISTINCT FROM '1') EXECUTE FUNCTION audit_event_notify()
"""
EVERY = """
CREATE OR REPLACE TRIGGER audit_event_notify AFTER INSERT ON audit_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_event_notify()
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("audit", "0002_pruning_and_pages")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [migrations.RunSQL(UNHEARD, EVERY)]

    safe_because = (
        "the trigger tells what it told before, and is replaced at once; who inserts waits for no rows to be read"
    )
