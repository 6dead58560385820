from typing import ClassVar

from django.db import migrations, models

# A token, the one that minted it, and so on, nearest first, each with the id that its use is counted under. Deeper than
# `services.LINE_MAX` there are only tokens of before. Of a token that is not there: itself. Runs with its caller's rights.
LINE_FUNCTION = """
CREATE FUNCTION access_token_line(wanted uuid) RETURNS TABLE (token_id uuid, subject uuid, depth integer)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE line AS (
        SELECT asked.id, t.maker_id, t.counted_as, 0 AS depth
          FROM (SELECT wanted AS id WHERE wanted IS NOT NULL) AS asked LEFT JOIN access_token t ON t.id = asked.id
         UNION ALL
        SELECT m.id, m.maker_id, m.counted_as, line.depth + 1
          FROM line JOIN access_token m ON m.id = line.maker_id
         WHERE line.depth < 64
    )
    SELECT line.id, COALESCE(line.counted_as, line.id), line.depth FROM line
$$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("access", "0003_sign_in_failures")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="token",
            name="counted_as",
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(LINE_FUNCTION, "DROP FUNCTION access_token_line(uuid)"),
    ]
