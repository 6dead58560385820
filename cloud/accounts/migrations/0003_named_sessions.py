"""A session that ends is told by a digest of its key, so that the pages of other sessions need not look.

One statement that ends many (clearing out expired ones) says instead that any may have ended."""

from typing import ClassVar

from django.db import migrations

# The digest opens nothing: a key is 32 random letters and digits.
NAMED = """
    CREATE OR REPLACE FUNCTION tell_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM (SELECT 1 FROM ended LIMIT 51) AS few) > 50 THEN
            PERFORM pg_notify('ropeway_revocations', 'session:00000000-0000-0000-0000-000000000000');
        ELSE
            PERFORM pg_notify('ropeway_revocations', 'session:' || encode(
                        substr(sha256(convert_to(session_key, 'UTF8')), 1, 16), 'hex')::uuid)
               FROM ended;
        END IF;
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER tell_ended AFTER DELETE ON django_session
        REFERENCING OLD TABLE AS ended FOR EACH STATEMENT EXECUTE FUNCTION tell_session_ended()
"""
UNNAMED = """
    CREATE OR REPLACE FUNCTION tell_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('ropeway_revocations', 'session:' || gen_random_uuid());
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER tell_ended AFTER DELETE ON django_session
        FOR EACH STATEMENT EXECUTE FUNCTION tell_session_ended()
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("accounts", "0002_told_endings")]
    safe_because = "running code hears of any session's end and looks at all of its pages, whatever id is told"

    operations: ClassVar[list[migrations.operations.base.Operation]] = [migrations.RunSQL(NAMED, UNNAMED)]
