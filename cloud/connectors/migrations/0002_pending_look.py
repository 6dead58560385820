from typing import ClassVar

from django.db import migrations

# Shows one waiting machine to whoever has its code, from within a tenant's scope; taking it is another function.
LOOK = """
CREATE FUNCTION pending_connector_look(wanted bytea) RETURNS TABLE (
    label varchar, machine jsonb, has_expired boolean
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT label, machine, expires_at <= now() FROM connectors_pendingconnector
     WHERE claim_digest = wanted AND connector_id IS NULL
$$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("connectors", "0001_initial")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(LOOK, "DROP FUNCTION pending_connector_look(bytea)"),
    ]
