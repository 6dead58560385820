"""`ropeway daemon`, in the foreground, and asking one that runs how it is, or to stop.

A daemon has no use for a client, so running one imports none.
Tests: tests/integration/daemon/test_bootstrap.py, tests/integration/daemon/test_stopping.py.
"""

import gc
import os
from typing import TYPE_CHECKING, Any

import click

from local_daemon.cli.exit_codes import ExitCode
from local_daemon.config import home as homes

if TYPE_CHECKING:
    from local_daemon.client.stopping import Daemon


@click.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(0, 65535), help="Answer on this loopback port too (0: any free one).")
@click.pass_context
def daemon(context: click.Context, port: int | None) -> None:
    """Run the daemon in the foreground; or ask the one that runs.

    It answers on a Unix socket in its home. SIGTERM lets what is at work finish; a second one stops at once."""
    if context.invoked_subcommand is not None:
        return
    # What is loaded to start stays for good, so looking through it for garbage is lost time; on again when ready.
    gc.disable()
    # Pydantic would read the metadata of everything installed here, to find plugins, and run those in the daemon.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from local_daemon import bootstrap
    from local_daemon.config import settings
    from local_daemon.identity import places
    from local_daemon.identity.keys import IdentityDamaged
    from local_daemon.protocol import errors
    from local_daemon.storage.errors import RecordReadOnly, RecordUnreadable, SchemaTooNew

    try:
        bootstrap.daemon_run(context.obj, port=port)
    except (
        homes.HomeInUse,
        bootstrap.AddressTaken,
        homes.HomeUnsafe,
        homes.HomeUnusable,
        settings.SettingsInvalid,
        IdentityDamaged,
        places.HomeCopied,
        RecordReadOnly,
        RecordUnreadable,
        SchemaTooNew,
    ) as error:
        raise click.ClickException(errors.said(error)) from error


@daemon.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def daemon_status(home: homes.Home, *, as_json: bool) -> int:
    """Say whether the daemon runs and how much is at work; exits with 41 where none answers.

    Exits with 42 where the daemon is of a version that this command does not understand."""
    from local_daemon.cli import options
    from local_daemon.client import stopping

    with stopping.daemon_find(home) as found:
        document = _document(found)
    options.show(document, as_json=as_json, lines=[_sentence(document)])
    if document["state"] == "other_version":
        return ExitCode.OTHER_VERSION
    return ExitCode.OK if document["state"] in ("running", "draining") else ExitCode.UNREACHABLE


@daemon.command("stop")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), help="Wait for at most this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def daemon_stop(home: homes.Home, *, timeout_s: float | None, as_json: bool) -> int:
    """Let what is at work finish, start nothing more, and stay until the daemon has ended.

    Stopping again while it drains stops it at once; the next start accounts for what was at work. Exits with 27 where
    it still runs after --timeout."""
    from local_daemon.cli import options
    from local_daemon.client import stopping

    with stopping.daemon_find(home) as found:
        document = _document(found)
        if found is not None:
            try:
                found.process.ask_to_stop()
            except PermissionError as error:
                raise click.ClickException(f"Process {found.process.pid} is not yours to stop.") from error
            if not as_json:
                click.echo(_asked(document), err=True)
            has_ended = found.process.has_ended(within_s=timeout_s)
            document = (
                {**document, "state": "stopped", "at_work": 0} if has_ended else {**document, "state": "draining"}
            )
    options.show(document, as_json=as_json, lines=[_sentence(document)])
    return ExitCode.NOT_SETTLED if document["state"] == "draining" else ExitCode.OK


def _document(found: "Daemon | None") -> dict[str, Any]:
    if found is None:
        return {"state": "not_running"}
    told = found.instance
    if told is None:
        return {"state": "other_version" if found.is_other_version else "not_answering", "pid": found.process.pid}
    return {
        "state": "draining" if told.is_draining else "running",
        "pid": found.process.pid,
        "port": found.port,
        "instance_id": told.instance_id,
        "version": told.version,
        "started_at": told.started_at.isoformat(),
        "at_work": told.at_work,
    }


def _asked(document: dict[str, Any]) -> str:
    at_work = document.get("at_work", 0)
    if document["state"] == "draining":
        return "It was draining; stopping at once."
    return f"Waiting for {at_work} at work; stop again to stop at once." if at_work else "Stopping."


def _sentence(document: dict[str, Any]) -> str:
    state, at_work = document["state"], document.get("at_work", 0)
    if state == "not_running":
        return "No daemon runs in this home."
    if state in ("running", "draining"):
        return f"The daemon (process {document['pid']}) is {state}; attempts at work: {at_work}."
    said = {
        "stopped": "has stopped",
        "not_answering": "does not answer",
        "other_version": "is of another version than this command; end it with `ropeway daemon stop`",
    }
    return f"The daemon (process {document['pid']}) {said[state]}."
