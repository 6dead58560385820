"""`ropeway-connector`: enroll this machine, choose what it exposes, run.

Prints sentences, or exactly one JSON document with `--json`. Decides nothing.
Tests: tests/integration/connector/test_cli.py.
"""

import asyncio
import contextlib
import json
import logging
import os
import platform
import re
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from connector_agent import config as settings
from local_daemon.protocol import errors, faults, messages, tracing, version

T = TypeVar("T")
INVALID, UNREACHABLE, INTERRUPTED = 30, 41, 130


def main() -> None:
    """Run the command line; typed errors become one sentence."""
    from connector_agent.cloud_client import CloudUnreachable

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(INVALID)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except ValidationError as error:
        found = "; ".join(f"{item['field']}: {item['problem']}" for item in faults.field_faults(error))
        click.echo(f"ropeway-connector: {found}", err=True)
        sys.exit(INVALID)
    except OSError as error:
        click.echo(f"ropeway-connector: {error.strerror}: {error.filename}", err=True)
        sys.exit(INVALID)
    except (errors.RopewayError, settings.ConfigInvalid, settings.NotEnrolled, settings.AlreadyRunning) as error:
        click.echo(f"ropeway-connector: {errors.said(error)}", err=True)
        sys.exit(INVALID)
    except CloudUnreachable as error:
        click.echo(f"ropeway-connector: {error}", err=True)
        sys.exit(UNREACHABLE)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version.__version__, prog_name="ropeway-connector")
@click.option("--home", "home_path", envvar="ROPEWAY_CONNECTOR_HOME", help="The connector's home directory.")
@click.pass_context
def cli(context: click.Context, home_path: str | None) -> None:
    """The way out: it dials the cloud and forwards what you share, nothing else."""
    context.obj = settings.home_find(home_path)


@cli.command()
@click.option("--cloud", "cloud_url", required=True, help="The cloud's URL.")
@click.option("--code", help="A one-time code; without one, a code is shown for an admin to claim.")
@click.option("--label", default=lambda: platform.node() or "connector", help="What people see it called.")
@click.option("--daemon-home", default="", help="The daemon's home directory, if it is not the default.")
@click.pass_obj
def enroll(home: settings.Home, cloud_url: str, code: str | None, label: str, daemon_home: str) -> None:
    """Make this machine a connector of an organization."""
    from connector_agent import enrollment
    from connector_agent.cloud_client import CloudClient

    url = cloud_url.rstrip("/")
    if not re.fullmatch(settings.CLOUD_URL, url):
        # Before a one-time code is spent on it.
        raise click.ClickException("--cloud is a URL of scheme and name only, such as https://ropeway.example.com")
    home.prepare()
    config = settings.config_read(home)
    if daemon_home:
        config = config.model_copy(update={"daemon": settings.Daemon(home=daemon_home)})
        settings.config_write(home, config)
    client = CloudClient(url, ca_file=config.ca_file)
    if code is not None:
        place = enrollment.enroll_by_code(home, client, cloud_url=url, code=code.strip(), label=label)
        click.echo(f"Enrolled for {place}. Nothing is exposed yet: `ropeway-connector share` does that.")
        return
    enrollment.enroll_by_claim(
        home, client, cloud_url=url, label=label, show_code=lambda text: click.echo(f"Claim code: {text}", err=True)
    )
    click.echo("Claimed. Nothing is exposed yet: `ropeway-connector share` does that.")


@cli.command()
@click.pass_obj
def run(home: settings.Home) -> None:
    """Stay connected until SIGTERM. SIGHUP reads the settings again."""
    from connector_agent.dialer import Dialer

    _log_configure()
    last_spans_send = tracing.install("ropeway-connector")

    async def serve() -> None:
        await Dialer(home).run()

    try:
        asyncio.run(serve())
    finally:
        last_spans_send()


@cli.command()
@click.argument("repository_id")
@click.option("--label", help="What others see it called (default: the daemon's label).")
@click.pass_obj
def share(home: settings.Home, repository_id: str, label: str | None) -> None:
    """Expose a repository of the daemon; a running connector does so at once."""
    config = settings.config_read(home)
    known = {item.repository_id for item in _ask_daemon(config, lambda client: client.repositories()).items}
    if repository_id not in known:
        raise click.ClickException("The daemon knows no such repository; see `ropeway-connector discover`.")
    others = tuple(item for item in config.share if item.repository_id != repository_id)
    added = settings.Share(repository_id=repository_id, label=label)
    _config_change(home, config.model_copy(update={"share": (*others, added)}))
    click.echo(f"{repository_id} is shared.")


@cli.command()
@click.argument("repository_id")
@click.pass_obj
def unshare(home: settings.Home, repository_id: str) -> None:
    """Stop exposing a repository; a running connector does so at once."""
    config = settings.config_read(home)
    left = tuple(item for item in config.share if item.repository_id != repository_id)
    if len(left) == len(config.share):
        raise click.ClickException("It is not shared.")
    _config_change(home, config.model_copy(update={"share": left}))
    click.echo(f"{repository_id} is not shared any more.")


@cli.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def discover(home: settings.Home, as_json: bool) -> None:
    """List what the daemon knows, and whether it is shared. Shares nothing."""
    config = settings.config_read(home)
    shared = config.shared()
    known = _ask_daemon(config, lambda client: client.repositories()).items
    rows = [
        {"repository_id": item.repository_id, "label": item.label, "is_shared": item.repository_id in shared}
        for item in known
    ]
    lines = [f"{row['repository_id']}  {'shared' if row['is_shared'] else '      '}  {row['label']}" for row in rows]
    none = ["The daemon knows no repository; `ropeway init` in one makes it known."]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join(lines or none))


@cli.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_shares(home: settings.Home, as_json: bool) -> None:
    """List what is shared."""
    shares = [share.model_dump() for share in settings.config_read(home).share]
    lines = [item["repository_id"] for item in shares] or ["Nothing is shared; see `ropeway-connector share`."]
    click.echo(json.dumps(shares, indent=2) if as_json else "\n".join(lines))


@cli.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def status(home: settings.Home, as_json: bool) -> None:
    """Say whether the connector is connected, and what it found."""
    document = _status_read(home)
    line = f"{document['state']} {document.get('detail', '')}".strip()
    lines = [line, *(f"put back  {sentence}" for sentence in _findings(document))]
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(lines))


def _status_read(home: settings.Home) -> dict[str, Any]:
    try:
        document = json.loads(home.status.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        document = {"state": "never ran"}
    if not isinstance(document, dict) or "state" not in document:
        document = {"state": "never ran"}
    if document.get("pid") and not _is_running(document["pid"]):
        document["state"] = "stopped"
    return document


def _findings(document: dict[str, Any]) -> list[str]:
    from connector_agent import comparison

    return [comparison.sentence(found) for found in document.get("findings", [])]


@cli.command()
@click.pass_obj
def config(home: settings.Home) -> None:
    """Show the settings and the enrollment; the key is not shown."""
    document = {"settings": settings.config_read(home).model_dump(), "enrollment": None}
    with contextlib.suppress(settings.NotEnrolled):
        document["enrollment"] = settings.enrollment_read(home).model_dump()
    click.echo(json.dumps(document, indent=2))


@cli.command()
@click.pass_obj
def doctor(home: settings.Home) -> None:
    """Check enrollment, daemon and shares, and say what to do."""
    enrollment = settings.enrollment_read(home)
    click.echo(f"ok       enrolled with {enrollment.cloud_url}")
    current = settings.config_read(home)
    instance: messages.InstanceView = _ask_daemon(current, lambda client: client.instance())
    click.echo(f"ok       daemon {instance.instance_id} {instance.version}")
    known = {item.repository_id for item in _ask_daemon(current, lambda client: client.repositories()).items}
    for repository_id in current.shared():
        word = "ok      " if repository_id in known else "missing "
        click.echo(f"{word} shared {repository_id}")
    for sentence in _findings(_status_read(home)):
        click.echo(f"put back {sentence}")
    if not current.share:
        click.echo("warning  nothing is shared; see `ropeway-connector share`")


def _ask_daemon(config: settings.Config, ask: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    from connector_agent.daemon_client import DaemonClient

    place = settings.daemon_home_find(config)

    async def asked() -> T:
        client = DaemonClient(place)
        try:
            return await ask(client)
        finally:
            await client.close()

    try:
        return asyncio.run(asked())
    except errors.ConnectorOffline:
        # Its own words are for a planner, who is somewhere else.
        raise errors.ConnectorOffline(
            f"The daemon does not answer in {place}. Start it with `ropeway daemon`, or keep it running with `ropeway "
            "service install`; where its home is another, connector.toml names it under [daemon]."
        ) from None


def _config_change(home: settings.Home, config: settings.Config) -> None:
    """Write the settings and tell a running connector, which then exposes exactly what stands there."""
    home.prepare()
    settings.config_write(home, config)
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        document = json.loads(home.status.read_text(encoding="utf-8"))
        if document["state"] != "stopped" and _is_running(document["pid"]):
            os.kill(document["pid"], signal.SIGHUP)


def _is_running(pid: int) -> bool:
    """Whether the process is there, and is a connector."""
    with contextlib.suppress(OSError):
        return b"connector" in Path(f"/proc/{pid}/cmdline").read_bytes()
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


class _JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        document = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in self._STANDARD},
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


def _log_configure() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s") if sys.stderr.isatty() else _JsonFormatter())
    logging.getLogger().handlers = [handler]
    logging.getLogger().setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
