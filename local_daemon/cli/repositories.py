"""`ropeway repository …`.

Where a repository lies is read beside the daemon, in its home: no answer of the daemon's names a folder, so that none
leaves the machine, and who sits at it is told all the same. Tests: tests/integration/daemon/test_cli.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click

from local_daemon.cli import options, values
from local_daemon.client import http
from local_daemon.client.http import DaemonClient
from local_daemon.config import home as homes
from local_daemon.protocol import limits, messages, relocation

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
@options.page_options(default=limits.PAGE_ITEMS_MAX)
@options.json_option
@click.pass_obj
def repository_list(home: homes.Home, /, *, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what the daemon knows, and where it lies."""
    query = options.page_query(limit=limit, cursor=cursor)
    with http.connect_or_start(home, None) as client:
        page = client.call("repositories.list", messages.RepositoryPage, query=query)
    found = [] if as_json else _lying(home, page.items)
    lines = (f"{item.repository_id}  {item.label}  {folder}" for item, folder in found)
    none = "No repository is known; see `ropeway repository add`."
    options.show(page, as_json=as_json, lines=options.page_lines(lines, next_cursor=page.next_cursor, none=none))


@repository.command("get")
@click.argument("repository", metavar="[ID|PATH]", required=False, shell_complete=values.repository)
@options.json_option
@click.pass_obj
def repository_get(home: homes.Home, /, *, repository: str | None, as_json: bool) -> None:
    """Show a repository (default: the one you stand in): its place, its head commit, and where its log stands."""
    with http.connect_or_start(home, None) as client:
        place = {"repository_id": options.repository_choose(client, repository)}
        found = client.call("repositories.get", messages.RepositoryView, parameters=place)
    _show(found, as_json=as_json, more=[] if as_json else _facts(home, found))


@repository.command("relocate")
@click.argument("repository_id", metavar="ID", shell_complete=values.repository)
@click.argument("path", type=_FOLDER)
@options.json_option
@options.with_daemon(starts=True)
def repository_relocate(client: DaemonClient, *, repository_id: str, path: Path, as_json: bool) -> None:
    """Say that the repository ID lies at PATH now: you moved it, or forgot it.

    Refused where it is another one, and while work goes on in it. Its history and evidence stay its own."""
    body = options.message_checked(relocation.RepositoryRelocate, {"path": str(path.resolve())})
    place = {"repository_id": repository_id}
    found = client.call("repositories.relocate", relocation.RelocationView, parameters=place, body=body)
    missing = [] if not found.results_missing else [
        f"  {found.results_missing} results are not kept there by git, only as patches; where the old place still is:",
        "  git fetch OLD_PLACE 'refs/ropeway/*:refs/ropeway/*'",
    ]  # fmt: skip
    options.show(found, as_json=as_json, lines=[f"{found.label} is {found.repository_id}, at its new place", *missing])


@repository.command("forget")
@click.argument("repository", metavar="[ID|PATH]", required=False, shell_complete=values.repository)
@options.json_option
@options.with_daemon(starts=True)
def repository_forget(client: DaemonClient, *, repository: str | None, as_json: bool) -> None:
    """Take a repository (default: the one you stand in) out of the list: no new work is taken for it.

    Refused while work goes on or waits. Nothing is deleted: its runs can be read by its id, evidence stays as long as
    it would have, and `ropeway repository relocate` makes it known again."""
    place = {"repository_id": options.repository_choose(client, repository)}
    gone = client.call("repositories.forget", messages.RepositoryView, parameters=place, body=messages.Empty())
    again = f"  known again by: ropeway repository relocate {gone.repository_id} PATH"
    options.show(gone, as_json=as_json, lines=[f"{gone.label} is forgotten; its history stays on record", again])


def _show(view: messages.RepositoryView, *, as_json: bool, more: Sequence[str] = ()) -> None:
    kind = ", a folder without git" if view.is_folder else ""
    options.show(view, as_json=as_json, lines=[f"{view.label} is {view.repository_id}{kind}", *more])


def _lying(home: homes.Home, views: Sequence[messages.RepositoryView]) -> Iterator[tuple[messages.RepositoryView, str]]:
    """Each with the folder it begins at; with none where it was forgotten."""
    # Imported only here: no other command of the group needs to know of places.
    from local_daemon.repositories import selectors
    from local_daemon.storage import database

    with closing(database.reader_open(home.record)) as record:
        for view in views:
            known = selectors.repository_get(record, view.repository_id)
            yield view, "" if known.is_forgotten else str(known.toplevel)


def _facts(home: homes.Home, view: messages.RepositoryView) -> list[str]:
    place = [f"  at {folder}" for _, folder in _lying(home, [view]) if folder]
    branch = [] if view.default_branch is None else [f"  default branch: {view.default_branch}"]
    head = [] if view.head_commit is None else [f"  head commit: {view.head_commit}"]
    return [
        *place,
        *branch,
        *head,
        f"  known since {view.created_at:%Y-%m-%d %H:%M} UTC",
        f"  {view.head_seq} events in {view.log_id}, up to {view.head_hash[:16]}",
    ]
