"""`cloudctl`: what an installation's operator does from a shell, on a machine that has the database's URL.

Prints for people, or with `--json` one object for programs. Each command is a thin call into the rooms below; what it
does is audited as `cloudctl`. Tests: tests/integration/cloud/cloudctl/.
"""

import os

import click
import django


@click.group()
@click.version_option(package_name="ropeway", message="%(version)s")
def cloudctl() -> None:
    """Operate a Ropeway cloud."""


def main() -> None:
    """The console script. Commands end soon: they run on the worker's settings, which hold no connection pool."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.worker")
    django.setup()
    from cloud.cloudctl import audit, bootstrap, enroll_code  # noqa: PLC0415 - models exist only now

    cloudctl.add_command(bootstrap.bootstrap)
    cloudctl.add_command(audit.audit)
    cloudctl.add_command(enroll_code.enroll_code)
    cloudctl()


if __name__ == "__main__":
    main()
