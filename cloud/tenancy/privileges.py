"""What the application's database role may do with each table; applied after every migration.

Everything but two kinds of table: append-only ones, which it may read and add to, and Django's own migration record.
Deliberately by name after the fact and not by default privileges: those would not reach tables made before.
Tests: tests/integration/cloud/tenancy/test_row_security.py.
"""

from typing import Any

from django.conf import settings
from django.db import connections

from cloud.tenancy import database_roles

APPEND_ONLY = frozenset({"audit_auditevent", "audit_auditseal", "audit_auditcheckpoint", "audit_auditpruning"})
_READ_ONLY = frozenset({"django_migrations"})


def privileges_apply(*, using: str, **_signal: Any) -> None:
    """Grant the application and the operator their rights; does nothing for a role that owns no tables.

    A `post_migrate` receiver. (A test that flushes sends that signal too, as the application.)"""
    roles = f'"{settings.DATABASES["default"]["USER"]}", {database_roles.OPERATOR}'
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relkind::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace "
            "AND c.relkind IN ('r', 'p', 'S') AND pg_has_role(current_user, c.relowner, 'USAGE')"
        )
        owned = cursor.fetchall()
        if not owned:
            return
        statements = [f"GRANT USAGE ON SCHEMA public TO {roles}"]
        for name, kind in owned:
            if kind == "S":
                statements.append(f'GRANT USAGE, SELECT ON SEQUENCE "{name}" TO {roles}')
                continue
            rights = "SELECT, INSERT, UPDATE, DELETE"
            if name in APPEND_ONLY:
                rights = "SELECT, INSERT"
            elif name in _READ_ONLY:
                rights = "SELECT"
            statements.append(f'REVOKE ALL ON "{name}" FROM {roles}')
            statements.append(f'GRANT {rights} ON "{name}" TO {roles}')
        cursor.execute("; ".join(statements))
