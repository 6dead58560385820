"""What commands share: a client of the daemon, `--json`, `--repository`, and how an answer is shown.

Tests: tests/integration/daemon/test_cli.py.
"""

import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from local_daemon.client import http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.protocol import errors, faults, ids, limits, messages, terminals

_NO_REPOSITORY = (
    "You stand in no git repository; name one with --repository, or take this folder as it is with "
    "`ropeway repository add .`"
)
M = TypeVar("M", bound=BaseModel)
F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """`--json`: exactly one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def quiet_option(command: F) -> F:
    """`--quiet`: nothing while it works."""
    return click.option("--quiet", "-q", is_flag=True, help="While you wait, print nothing.")(command)


def page_options(*, default: int = limits.PAGE_ITEMS_DEFAULT) -> Callable[[F], F]:
    """`--limit` and `--cursor`: which page of a list."""
    most = click.IntRange(1, limits.PAGE_ITEMS_MAX)

    def decorate(command: F) -> F:
        paged = click.option("--cursor", help="Where the page before ended.")(command)
        return click.option("--limit", type=most, default=default, show_default=True, help="At most so many.")(paged)

    return decorate


def page_query(*, limit: int, cursor: str | None, **more: str | None) -> dict[str, Any]:
    """The page that is asked for, and of what; nothing stands for what was not said."""
    return {name: value for name, value in {"limit": limit, "cursor": cursor, **more}.items() if value is not None}


def page_lines(lines: Iterable[str], *, next_cursor: str | None, none: str) -> list[str]:
    """A page as a person reads it: `none` where there is nothing, and where it goes on."""
    found = list(lines) or [none]
    return found if next_cursor is None else [*found, f"more of them: --cursor {next_cursor}"]


class _Seconds(click.FloatRange):
    """A time to wait, at most a year: `nan` and `inf` are none."""

    def __init__(self) -> None:
        super().__init__(min=0, max=365 * 86_400)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail("nan is no time", param, ctx)
        return seconds


def timeout_option(command: F) -> F:
    """`--timeout`: how long to wait."""
    return click.option("--timeout", "timeout_s", type=_Seconds(), help="Wait for at most this many seconds.")(command)


def budget_option(command: F) -> F:
    """`--budget-usd`: the most that work may cost."""
    return click.option(
        "--budget-usd",
        type=float,
        metavar="USD",
        help="The most that all its attempts may cost; work is ended when that is used up.",
    )(command)


def daemon_start(home: homes.Home) -> None:
    """Start a daemon for this home and return once it answers. Raises DaemonUnreachable, HomeCopied, and
    ClickException for settings that no daemon starts with."""
    from local_daemon.client import starting
    from local_daemon.identity import places

    home.prepare()
    places.place_check(home)
    try:
        starting.daemon_start(home)
    except DaemonUnreachable:
        _settings_require(home)
        raise


def _settings_require(home: homes.Home) -> None:
    """Raises ClickException for what the daemon ends by at once: it would be said in its log only."""
    from local_daemon.config import environment_file, settings
    from local_daemon.executors import registry

    try:
        environment_file.environment_read(home.environment)
        registry.registry_build(os.environ, settings.settings_read(home.settings))
    except registry.SettingsUnfit as error:
        raise click.ClickException(f"{home.settings.name}: {error}") from error
    except settings.SettingsInvalid as error:
        raise click.ClickException(str(error)) from error


def with_daemon(*, starts: bool = False) -> Callable[[F], Callable[..., Any]]:
    """Hand the command a client of the home's daemon; with `starts`, start one where none answers."""

    def decorate(command: F) -> Callable[..., Any]:
        @click.pass_obj
        @functools.wraps(command)
        def wrapped(home: homes.Home, /, **options: Any) -> Any:
            with http.connect_or_start(home, daemon_start if starts else None) as client:
                return command(client, **options)

        return wrapped

    return decorate


def repository_choose(client: http.DaemonClient, named: str | None) -> str:
    """The id of the repository that is named, or in which the operator stands. Raises NotFound where it isn't known:
    looking makes nothing known."""
    if named is not None and ids.is_id(ids.IdPrefix.REPOSITORY, named):
        return named
    query = message_checked(messages.RepositoryListQuery, {"path": _folder(named)})
    with _readable_path(named):
        found = client.call(
            "repositories.list", messages.RepositoryPage, query=query.model_dump(exclude_none=True)
        ).items
    if not found:
        place = "The repository you stand in" if named is None else f"The repository at {named}"
        raise errors.NotFound(f"{place} is not known to the daemon; `ropeway init` makes it known.")
    return found[0].repository_id


def repository_ensure(client: http.DaemonClient, named: str | None) -> str:
    """As `repository_choose`, but a repository that isn't known is made known."""
    if named is not None and ids.is_id(ids.IdPrefix.REPOSITORY, named):
        return named
    return repository_add(client, named, label=None).repository_id


def repository_begin(client: http.DaemonClient, named: str | None, *, needs_commit: bool) -> str:
    """As `repository_ensure`, for work that begins at what is checked out, if it `needs_commit`. Raises InvalidRequest
    where nothing can begin yet."""
    if named is not None and ids.is_id(ids.IdPrefix.REPOSITORY, named):
        return named
    added = repository_add(client, named, label=None)
    # A folder without git begins with what lies in it.
    if needs_commit and added.head_commit is None and not added.is_folder:
        raise errors.InvalidRequest("There is no commit here yet to begin from: make the first one with `git commit`.")
    return added.repository_id


def repository_add(
    client: http.DaemonClient, named: str | None, *, label: str | None, folder: bool = False
) -> messages.RepositoryView:
    """Make the repository at the path known, or find it known; with `folder`, a folder without git as well."""
    body = message_checked(messages.RepositoryAdd, {"path": _folder(named), "label": label, "folder": folder})
    with _readable_path(named):
        return client.call("repositories.add", messages.RepositoryView, body=body)


def repository_folder(home: homes.Home, named: str | None) -> Path | None:
    """Where the repository begins that is named, or in which the operator stands, or the folder without git that was
    added; None where it is named by its id. Raises InvalidRequest where there is none: that needs no daemon to be
    seen."""
    if named is not None and ids.is_id(ids.IdPrefix.REPOSITORY, named):
        return None
    from local_daemon.config import repository_file

    folder = Path(_folder(named))
    found = repository_file.root_find(folder) or home.folder_find(folder)
    if found is None:
        raise errors.InvalidRequest(_NO_REPOSITORY if named is None else _no_repository_at(named))
    return found


def _no_repository_at(named: str) -> str:
    place = "This folder" if named == "." else named
    return f"{place} is in no git repository: `git init`, or take it as it is with `ropeway repository add {named}`"


def _folder(named: str | None) -> str:
    folder = Path(named or ".").resolve()
    if not folder.is_dir():
        raise errors.InvalidRequest(f"path: there is no folder {named}")
    return os.fspath(folder)


@contextmanager
def _readable_path(named: str | None) -> Iterator[None]:
    """What the daemon says of a path, in words of who named none."""
    try:
        yield
    except errors.InvalidRequest as error:
        if named is None and "not a git repository" in error.detail:
            raise errors.InvalidRequest(_NO_REPOSITORY) from error
        raise


def message_checked(model: type[M], document: Mapping[str, Any]) -> M:
    """The document as a message. Raises InvalidRequest that names each field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise errors.InvalidRequest("not valid", errors=faults.field_faults(error)) from None


def show(document: BaseModel | dict[str, Any], *, as_json: bool, lines: Iterable[str]) -> None:
    """Print the document, or the lines a person reads. That nobody reads on changes nothing of what the command came
    to, nor of its exit code."""
    try:
        if as_json:
            content = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
            click.echo(json.dumps(content, indent=2))
        else:
            tell(lines)
    except BrokenPipeError:
        sys.stdout = None


def tell(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines in which others' words stand, without what would steer the operator's terminal."""
    for line in lines:
        for part in line.split("\n"):
            click.echo(terminals.plain(part), err=err)


def warning_lines(warnings: Iterable[str]) -> Iterator[str]:
    """What will not hold as it was asked for, as a person reads it."""
    return (f"  warning: {warning}" for warning in warnings)
