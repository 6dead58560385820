"""`ropeway daemon`. Imports no client: a daemon has no use for one.

Tests: tests/integration/daemon/test_bootstrap.py.
"""

import click

from local_daemon.config import home as homes
from local_daemon.config import settings


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Answer on this loopback port too (0: any free one).")
@click.pass_obj
def daemon(home: homes.Home, port: int | None) -> None:
    """Run the daemon in the foreground.

    It answers on a Unix socket in its home. SIGTERM lets what is at work finish; a second one stops at once."""
    from local_daemon import bootstrap
    from local_daemon.identity import places
    from local_daemon.identity.keys import IdentityDamaged
    from local_daemon.storage.errors import RecordUnreadable, SchemaTooNew

    try:
        bootstrap.daemon_run(home, port=port)
    except (
        homes.HomeInUse,
        bootstrap.AddressTaken,
        homes.HomeUnsafe,
        homes.HomeUnusable,
        settings.SettingsInvalid,
        IdentityDamaged,
        places.HomeCopied,
        RecordUnreadable,
        SchemaTooNew,
    ) as error:
        raise click.ClickException(str(error) or (type(error).__doc__ or "").strip()) from error
