"""`manage.py cloudctl …`: the console script, where there is a checkout and no script on the PATH.

Everything after its name is `cloudctl`'s own. Tests: tests/integration/cloud/cloudctl/test_managed.py.
"""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from cloud.cloudctl import main


class Command(BaseCommand):
    """Operate a Ropeway cloud."""

    help = "Operate a Ropeway cloud: what the cloudctl script does, in place or by URL."

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the words on as they are: options and statuses are `cloudctl`'s, not Django's."""
        main.main(argv[2:], name=f"{argv[0]} {argv[1]}")

    def add_arguments(self, parser: CommandParser) -> None:
        """Whatever follows."""
        parser.add_argument("words", nargs=argparse.REMAINDER, help="A command of cloudctl and its options.")

    def handle(self, *_args: Any, words: list[str], **_options: Any) -> None:
        """The same for `call_command`."""
        main.main(words)
