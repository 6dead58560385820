"""`ropeway repository …`.

Tests: tests/integration/daemon/test_cli.py.
"""

from pathlib import Path

import click

from local_daemon.cli import options
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import limits, messages

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def repository() -> None:
    """Repositories of this machine."""


@repository.command("add")
@click.argument("path", type=_FOLDER)
@click.option("--label", help="What others see it called (default: its folder's name).")
@options.json_option
@options.with_daemon(starts=True)
def repository_add(client: DaemonClient, *, path: Path, label: str | None, as_json: bool) -> None:
    """Make the git repository at PATH known, or a folder without git; adding it again is harmless.

    Of a folder without git, each attempt gets a snapshot. Nothing is ever put into it but what you apply."""
    _show(options.repository_add(client, str(path), label=label, folder=True), as_json=as_json)


@repository.command("list")
@click.option(
    "--limit", type=click.IntRange(1, limits.PAGE_ITEMS_MAX), default=limits.PAGE_ITEMS_MAX, show_default=True
)
@click.option("--cursor", help="Where the page before ended.")
@options.json_option
@options.with_daemon()
def repository_list(client: DaemonClient, *, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what the daemon knows."""
    query = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
    page = client.call("repositories.list", messages.RepositoryPage, query=query)
    lines = [f"{item.repository_id}  {item.label}" for item in page.items]
    options.show(page, as_json=as_json, lines=lines or ["No repository is known; see `ropeway repository add`."])


def _show(added: messages.RepositoryView, *, as_json: bool) -> None:
    kind = ", a folder without git" if added.is_folder else ""
    options.show(added, as_json=as_json, lines=[f"{added.label} is {added.repository_id}{kind}"])
