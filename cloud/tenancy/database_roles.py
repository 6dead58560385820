"""The database's roles, and whether the one we are logged in as is safe to serve tenants with.

The owner migrates; the application logs in as a role that owns nothing and is subject to row-level security; the
operator cannot log in, sees every tenant, and is entered for one transaction at a time. Tests:
tests/integration/cloud/tenancy/test_database_roles.py.
"""

from collections.abc import Sequence

from django.db import connections

OPERATOR = "ropeway_operator"

_FAULTS = """
    SELECT r.rolsuper OR r.rolbypassrls,
           pg_has_role(r.oid, o.oid, 'USAGE'),
           NOT pg_has_role(r.oid, o.oid, 'MEMBER'),
           EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                   AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
      FROM pg_roles r LEFT JOIN pg_roles o ON o.rolname = %s
     WHERE r.rolname = current_user
"""
_SENTENCES = (
    "The application's database role bypasses row-level security; use one that is no superuser.",
    "The application's database role inherits the operator's rights; make it NOINHERIT.",
    f"The application's database role cannot become {OPERATOR}; grant it that role.",
    "The application's database role owns tables; migrate as another role.",
)


def application_role_faults(alias: str = "default") -> Sequence[str]:
    """What makes the role behind a connection unfit to serve tenants, as sentences; empty when nothing does."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_FAULTS, [OPERATOR])
        row = cursor.fetchone()
    return [sentence for is_fault, sentence in zip(row, _SENTENCES, strict=True) if is_fault]
