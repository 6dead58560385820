"""The schedules' place in Django: the table follows the code after each migration, and when a worker starts."""

from typing import Any

from django.apps import AppConfig
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
    from cloud.schedules import declarations  # noqa: PLC0415 - models exist only when apps are ready

    declarations.schedules_declare(using=using)


def _declare_at_start(**_signal: Any) -> None:
    """In each process of a cluster; all but the first find nothing to change."""
    _declare(using="default")
