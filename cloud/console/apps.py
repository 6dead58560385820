"""The admin's place in Django."""

import importlib
import pkgutil

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Every ModelAdmin lives in `admin/<noun>.py`."""

    name = "cloud.console"

    def ready(self) -> None:
        """Register what each file of `admin` registers (a new file needs no list to stand in), and name it all."""
        from cloud.console import admin, words  # noqa: PLC0415 - the admin's own modules need Django's to be loaded

        for module in pkgutil.iter_modules(admin.__path__):
            importlib.import_module(f"{admin.__name__}.{module.name}")
        words.install()
