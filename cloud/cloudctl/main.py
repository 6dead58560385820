"""`cloudctl`: what an installation's operator does from a shell, in place or against a cloud by URL.

In place is any machine that has the database's URL. Commands are imported when they are used, and Django is set up only
where they need it. Prints tables on a terminal and JSON elsewhere, and ends with a status that means something
(`exits.py`). Tests: tests/integration/cloud/cloudctl/ and tests/journeys/test_cloudctl.py.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from cloud.cloudctl import doors, exits
from local_daemon.protocol import errors, version

_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "bootstrap": "bootstrap",
        "org": "tenants",
        "workspace": "tenants",
        "project": "tenants",
        "member": "people",
        "invitation": "people",
        "token": "tokens",
        "enroll-code": "enroll_code",
        "connector": "machines",
        "instance": "machines",
        "location": "machines",
        "run": "runs",
        "gate": "gates",
        "schedule": "schedules",
        "call": "calls",
        "usage": "usage",
        "limits": "limits",
        "audit": "audit",
        "task": "tasks",
        "keys": "keys",
        "doctor": "doctor",
        "completion": "completion",
    }
)
"""Every command, and the module here that holds it under the same name."""
INSTALLATION = frozenset({"bootstrap", "task", "keys"})
"""Those that are about the installation itself: in place only, with Django from the start."""


class Commands(exits.Commands):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order in which one needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; a noun may be said in the plural."""
        name = cmd_name if cmd_name in _COMMANDS else cmd_name.removesuffix("s")
        if name not in _COMMANDS:
            return None
        if name in INSTALLATION:
            doors.installation_ready()
        module = importlib.import_module(f"cloud.cloudctl.{_COMMANDS[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.TABLE)
@click.version_option(version.__version__, message="%(version)s")
@click.option("--url", envvar="CLOUDCTL_URL", help="A cloud somewhere else; without, the one whose database is here.")
@click.option(
    "--token-file",
    envvar="CLOUDCTL_TOKEN_FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Holds the token for --url, which CLOUDCTL_TOKEN may hold, too.",
)
@click.option(
    "--ca-file",
    envvar="CLOUDCTL_CA_FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates to trust instead of the system's, for --url.",
)
@click.option(
    "--timeout", "timeout_s", default=60.0, show_default=True, type=click.FloatRange(1, 600), help="Seconds, for --url."
)
@click.pass_context
def cloudctl(
    context: click.Context, url: str | None, token_file: str | None, ca_file: str | None, timeout_s: float
) -> None:
    """Operate a Ropeway cloud."""
    token = os.environ.get("CLOUDCTL_TOKEN")
    context.obj = doors.address_find(url, token_file, token, ca_file=ca_file, timeout_s=timeout_s)


def main(words: Sequence[str] | None = None, *, name: str = "cloudctl") -> None:
    """The console script; `words` where they are not the process's own."""
    try:
        cloudctl(words, prog_name=name)
    except Exception as error:
        told = _database_fault(error)
        if told is None:
            raise
        exits.complain(errors.Internal(f"{told} `cloudctl doctor` looks closer."))
        sys.exit(exits.Exit.LATER)


def _database_fault(error: Exception) -> str | None:
    """What is the matter with the database, where that is it."""
    if "django" not in sys.modules:
        return None
    from django.db import OperationalError, ProgrammingError

    sentence = str(error).strip().partition("\n")[0]
    if isinstance(error, OperationalError):
        return f"The database does not answer: {sentence}."
    if isinstance(error, ProgrammingError):
        return f"The database is not what this release expects ({sentence}): `manage.py migrate`."
    return None


if __name__ == "__main__":
    main()
