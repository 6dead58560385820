"""The schedules' place in Django: the table follows the code after each migration, and when a worker starts."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class SchedulesConfig(AppConfig):
    """Periodic work on django-q2."""

    name = "cloud.schedules"

    def ready(self) -> None:
        """Declare them once a migration is over, and in each worker that starts."""
        from django_q.signals import post_spawn  # noqa: PLC0415 - models exist only when apps are ready

        post_migrate.connect(_declare, sender=self, dispatch_uid="ropeway-schedules")
        post_spawn.connect(_declare_at_start, dispatch_uid="ropeway-schedules")


def _declare(*, using: str, **_signal: Any) -> None:
    from django_q.models import Schedule  # noqa: PLC0415 - models exist only when apps are ready

    from cloud.schedules import declarations  # noqa: PLC0415 - likewise

    # A migration of one app alone ends here too, perhaps before the queue has its table.
    if Schedule._meta.db_table in connections[using].introspection.table_names():
        declarations.schedules_declare(using=using)


def _declare_at_start(**_signal: Any) -> None:
    """In each process of a cluster; all but the first find nothing to change."""
    _declare(using="default")
