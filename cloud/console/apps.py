"""The admin's place in Django."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Every ModelAdmin lives in `admin/<noun>.py`."""

    name = "cloud.console"
