"""`ropeway status`.

Tests: tests/integration/daemon/test_cli.py.
"""

import click

from local_daemon.cli import options
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import messages


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
            *(f"  {executor.name}: {_condition(executor)}" for executor in instance.executors),
        ],
    )


def _condition(executor: messages.ExecutorView) -> str:
    if executor.name.startswith("fake-"):
        return "for trying things out"
    if not executor.is_available:
        return executor.reason or "not available"
    return ", but ".join(filter(None, (executor.version or "ready", executor.reason)))
