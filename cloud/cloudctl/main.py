"""`cloudctl`: what an installation's operator does from a shell, on a machine that has the database's URL.

Prints tables on a terminal and JSON elsewhere, and ends with a status that means something (`exits.py`). Each command
is a thin call into the rooms below; what it does is audited as `cloudctl`. Tests: tests/integration/cloud/cloudctl/.
"""

import os

import click
import django

from cloud.cloudctl import exits


@click.group(cls=exits.Commands)
@click.version_option(package_name="ropeway", message="%(version)s")
def cloudctl() -> None:
    """Operate a Ropeway cloud."""


def main() -> None:
    """The console script. Commands end soon: they run on the worker's settings, which hold no connection pool."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.worker")
    django.setup()
    commands_add()
    cloudctl()


def commands_add() -> None:
    """Add the commands, whose models exist only once Django is set up."""
    from cloud.cloudctl import (  # noqa: PLC0415 - see above
        audit,
        bootstrap,
        enroll_code,
        keys,
        limits,
        machines,
        people,
        schedules,
        tenants,
        tokens,
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
        audit.audit,
        schedules.schedules,
        limits.limits,
        keys.keys,
    ):
        cloudctl.add_command(command)


if __name__ == "__main__":
    main()
