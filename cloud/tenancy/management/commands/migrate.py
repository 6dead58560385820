"""`manage.py migrate`, as the owner: the application's own role may change no table."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Django's command on the alias `owner`."""

    def add_arguments(self, parser: CommandParser) -> None:
        """The owner's alias unless another one is named."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Migrate, or say which variable is missing, before anything looks for that database."""
        if options["database"] not in settings.DATABASES:
            raise CommandError("Set DATABASE_OWNER_URL to the URL of the role that owns the tables.")
        return super().execute(*args, **options)
