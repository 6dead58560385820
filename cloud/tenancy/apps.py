"""Tenancy's place in Django: after each migration, the application's rights are applied."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from cloud.tenancy import privileges


class TenancyConfig(AppConfig):
    """The organizations' app."""

    name = "cloud.tenancy"

    def ready(self) -> None:
        """Apply privileges once a migration is over (the last app's signal would do; each is cheap)."""
        post_migrate.connect(privileges.privileges_apply, sender=self, dispatch_uid="ropeway-privileges")
