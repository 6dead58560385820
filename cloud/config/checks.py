"""What must hold before this installation serves tenants. Run by `manage.py check --database default` and at the start
of every serving process. Tests: tests/integration/cloud/tenancy/test_database_roles.py.
"""

from collections.abc import Sequence
from typing import Any

from django.core import checks

from cloud.tenancy import database_roles


class UnsafeDatabaseRole(RuntimeError):
    """The database role would not be bound by row-level security; serve as the application's role."""


def register() -> None:
    """Make the checks known to Django."""
    checks.register(application_role_check, checks.Tags.database)


def application_role_check(databases: Sequence[str] | None = None, **_options: Any) -> list[checks.Error]:
    """The role of `default` is bound by row-level security. Runs where a database is asked for by name."""
    if "default" not in (databases or ()):
        return []
    faults = database_roles.application_role_faults()
    return [checks.Error(fault, id=f"ropeway.E{number:03}") for number, fault in enumerate(faults, start=1)]


def refuse_unsafe_role() -> None:
    """Raise UnsafeDatabaseRole unless the role of `default` is bound by row-level security."""
    faults = database_roles.application_role_faults()
    if faults:
        raise UnsafeDatabaseRole(" ".join(faults))
