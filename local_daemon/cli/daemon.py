"""`ropeway daemon` and `ropeway status`.

Tests: tests/integration/daemon/test_bootstrap.py, test_cli.py.
"""

import click

from local_daemon.cli import options
from local_daemon.client.http import DaemonClient
from local_daemon.config import home as homes
from local_daemon.config import settings
from local_daemon.protocol import messages


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Answer on this loopback port too (0: any free one).")
@click.pass_obj
def daemon(home: homes.Home, port: int | None) -> None:
    """Run the daemon in the foreground.

    It answers on a Unix socket in its home. SIGTERM lets what is at work finish; a second one stops at once."""
    from local_daemon import bootstrap
    from local_daemon.storage.errors import SchemaTooNew

    try:
        bootstrap.daemon_run(home, port=port)
    except (
        bootstrap.AlreadyRunning,
        bootstrap.AddressTaken,
        homes.HomeUnsafe,
        settings.SettingsInvalid,
        SchemaTooNew,
    ) as error:
        raise click.ClickException(str(error) or (type(error).__doc__ or "").strip()) from error


@click.command()
@options.json_option
@options.with_daemon()
def status(client: DaemonClient, *, as_json: bool) -> None:
    """Say who the daemon is and what it can use."""
    instance = client.call("instance.get", messages.InstanceView)
    options.show(
        instance,
        as_json=as_json,
        lines=[
            f"{instance.instance_id}, version {instance.version}, since {instance.started_at:%Y-%m-%d %H:%M:%S} UTC",
            *(
                f"  {executor.name}: {executor.version or 'ready' if executor.is_available else executor.reason}"
                for executor in instance.executors
            ),
        ],
    )
