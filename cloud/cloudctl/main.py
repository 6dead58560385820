"""`cloudctl`: what an installation's operator does from a shell, in place or against a cloud by URL.

In place is any machine that has the database's URL. Commands are imported when they are used, and Django is set up only
where they need it. Prints tables on a terminal and JSON elsewhere, and ends with a status that means something
(`exits.py`). Tests: tests/integration/cloud/cloudctl/ and tests/journeys/test_cloudctl.py.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem

from cloud.cloudctl import doors, exits
from local_daemon.protocol import errors, version


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command: the module here that holds it under its name, and what the list says of it, so that listing imports
    none and needs no installation."""

    module: str
    help: str


COMMANDS: Mapping[str, Entry] = MappingProxyType(
    {
        "bootstrap": Entry(module="bootstrap", help="Make the first organization and what a planner needs to begin."),
        "org": Entry(module="tenants", help="Organizations: the tenants."),
        "workspace": Entry(
            module="tenants", help="Workspaces: parts of an organization, with administrators of their own."
        ),
        "project": Entry(module="tenants", help="Projects: what planners work in."),
        "member": Entry(module="people", help="Members: people with a role."),
        "invitation": Entry(module="people", help="Invitations: links by which people become members."),
        "token": Entry(module="tokens", help="Tokens: what planners, programs and people present."),
        "enroll-code": Entry(module="enroll_code", help="Let machines in."),
        "connector": Entry(module="machines", help="Connectors: machines of an organization."),
        "instance": Entry(module="machines", help="Instances: daemons behind connectors."),
        "location": Entry(module="machines", help="Locations: repositories, and the projects they serve."),
        "run": Entry(module="runs", help="Runs: objectives that machines work on."),
        "gate": Entry(module="gates", help="Gates: decisions that work waits for."),
        "schedule": Entry(module="schedules", help="Runs that begin by themselves."),
        "call": Entry(module="calls", help="Calls: what was asked of machines."),
        "usage": Entry(module="usage", help="What was used."),
        "limits": Entry(module="limits", help="Rates and quotas."),
        "audit": Entry(module="audit", help="Prove what happened."),
        "task": Entry(module="tasks", help="The installation's periodic work."),
        "keys": Entry(module="keys", help="Rotate the installation's keys."),
        "doctor": Entry(
            module="doctor", help="Say whether this installation, or the way to the one by URL, has what it needs."
        ),
        "completion": Entry(
            module="completion", help="Print the script that completes `cloudctl` in SHELL (default: yours)."
        ),
    }
)
"""Every command, in the order in which one needs them."""
INSTALLATION = frozenset({"bootstrap", "task", "keys"})
"""Those that are about the installation itself: in place only, with Django from the start."""


class Commands(exits.Commands):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; a noun may be said in the plural."""
        name = cmd_name if cmd_name in COMMANDS else cmd_name.removesuffix("s")
        if name not in COMMANDS:
            return None
        if name in INSTALLATION:
            if ctx.params.get("url") is not None:
                raise click.UsageError(doors.ONLY_IN_PLACE)
            doors.installation_ready()
        module = importlib.import_module(f"cloud.cloudctl.{COMMANDS[name].module}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their list in `cloudctl --help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Their names for a shell, which asks at each press of a key."""
        found = [
            CompletionItem(name, help=entry.help) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


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
    help="Certificates to trust instead of the system's, for --url and `doctor --address`.",
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
