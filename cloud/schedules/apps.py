"""The schedules' place in Django: they are in the database after each migration, as the code declares them."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SchedulesConfig(AppConfig):
    """Periodic work on django-q2."""

    name = "cloud.schedules"

    def ready(self) -> None:
        """Declare them once a migration is over."""
        post_migrate.connect(_declare, sender=self, dispatch_uid="ropeway-schedules")


def _declare(*, using: str, **_signal: Any) -> None:
    from cloud.schedules import declarations  # noqa: PLC0415 - models exist only when apps are ready

    declarations.schedules_declare(using=using)
