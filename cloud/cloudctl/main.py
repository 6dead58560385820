"""`cloudctl`: what an installation's operator does from a shell, on a machine that has the database's URL.

Prints tables on a terminal and JSON elsewhere, and ends with a status that means something (`exits.py`). Each command
is a thin call into the rooms below; what it does is audited as `cloudctl`. Tests: tests/integration/cloud/cloudctl/.
"""

import os
import sys

import click
import django
from django.db import OperationalError

from cloud.cloudctl import completion, exits
from local_daemon.protocol import errors


@click.group(cls=exits.Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.TABLE)
@click.version_option(package_name="ropeway", message="%(version)s")
def cloudctl() -> None:
    """Operate a Ropeway cloud."""


def main() -> None:
    """The console script. Commands end soon: they run on the worker's settings, which hold no connection pool."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.worker")
    django.setup()
    commands_add()
    try:
        cloudctl()
    except OperationalError as error:
        sentence = str(error).strip().partition("\n")[0]
        exits.complain(errors.Internal(f"The database does not answer: {sentence}. `cloudctl doctor` looks closer."))
        sys.exit(exits.Exit.LATER)


def commands_add() -> None:
    """Add the commands, whose models exist only once Django is set up."""
    from cloud.cloudctl import (  # noqa: PLC0415 - see above
        audit,
        bootstrap,
        doctor,
        enroll_code,
        gates,
        keys,
        limits,
        machines,
        people,
        runs,
        schedules,
        tasks,
        tenants,
        tokens,
        usage,
    )

    for command in (
        bootstrap.bootstrap,
        tenants.org,
        tenants.workspace,
        tenants.project,
        people.member,
        people.invitation,
        tokens.token,
        enroll_code.enroll_code,
        machines.connector,
        machines.instance,
        machines.location,
        runs.run,
        gates.gate,
        schedules.schedule,
        usage.usage,
        limits.limits,
        audit.audit,
        tasks.task,
        keys.keys,
        doctor.doctor,
        completion.completion,
    ):
        cloudctl.add_command(command)


if __name__ == "__main__":
    main()
