"""A session or an account that ends is told to everyone, whatever ended it: what it holds open ends too.

By triggers, because Django itself ends sessions (signing out, another password) and calls no service of ours."""

from typing import ClassVar

from django.db import migrations

# No id of the session: it is the secret. Who holds a page open asks whether theirs still is there.
SESSIONS = """
    CREATE FUNCTION tell_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('ropeway_revocations', 'session:' || gen_random_uuid());
        RETURN NULL;
    END $$;
    CREATE TRIGGER tell_ended AFTER DELETE ON django_session
        FOR EACH STATEMENT EXECUTE FUNCTION tell_session_ended()
"""
USERS = """
    CREATE FUNCTION tell_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('ropeway_revocations', 'user:' || NEW.id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER tell_changed AFTER UPDATE ON accounts_user FOR EACH ROW
        WHEN ((OLD.password, OLD.is_active, OLD.is_staff, OLD.is_superuser)
              IS DISTINCT FROM (NEW.password, NEW.is_active, NEW.is_staff, NEW.is_superuser))
        EXECUTE FUNCTION tell_user_changed()
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("accounts", "0001_initial"), ("sessions", "0001_initial")]
    safe_because = "a trigger on each of two small tables; running code does not know of them, and hears one word more"

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(SESSIONS, "DROP TRIGGER tell_ended ON django_session; DROP FUNCTION tell_session_ended()"),
        migrations.RunSQL(USERS, "DROP TRIGGER tell_changed ON accounts_user; DROP FUNCTION tell_user_changed()"),
    ]
