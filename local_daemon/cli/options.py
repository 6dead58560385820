"""What commands share: a client of the daemon, `--json`, `--repository`, and how an answer is shown.

Tests: tests/integration/daemon/test_cli.py.
"""

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from local_daemon.client import http, starting
from local_daemon.config import home as homes
from local_daemon.protocol import errors, ids, messages

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """`--json`: exactly one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def repository_option(command: F) -> F:
    """`--repository`: by default the one the operator stands in."""
    return click.option(
        "--repository", "repository", metavar="ID|PATH", help="Which repository (default: the one you stand in)."
    )(command)


def with_daemon(*, starts: bool = False) -> Callable[[F], Callable[..., Any]]:
    """Hand the command a client of the home's daemon; with `starts`, start one where none answers."""

    def decorate(command: F) -> Callable[..., Any]:
        @click.pass_obj
        @functools.wraps(command)
        def wrapped(home: homes.Home, /, **options: Any) -> Any:
            with http.connect_or_start(home, starting.daemon_start if starts else None) as client:
                return command(client, **options)

        return wrapped

    return decorate


def repository_choose(client: http.DaemonClient, named: str | None) -> str:
    """The id of the repository that is named, or in which the operator stands; made known if it isn't yet."""
    if named is not None and ids.is_id(ids.IdPrefix.REPOSITORY, named):
        return named
    return repository_add(client, Path(named) if named is not None else Path(), label=None).repository_id


def repository_add(client: http.DaemonClient, path: Path, *, label: str | None) -> messages.RepositoryView:
    """Make the repository at the path known, or find it known."""
    body = messages.RepositoryAdd(path=os.fspath(path.resolve()), label=label)
    return client.call("repositories.add", messages.RepositoryView, body=body)


def id_require(prefix: ids.IdPrefix, value: str) -> str:
    """The value, which is such an id. Raises InvalidRequest before anybody is asked."""
    if not ids.is_id(prefix, value):
        raise errors.InvalidRequest(f"{value[:100]!r} is not the id of a {prefix.name.lower()}")
    return value


def show(document: BaseModel | dict[str, Any], *, as_json: bool, lines: Iterable[str]) -> None:
    """Print the document, or the lines a person reads."""
    if as_json:
        content = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
        click.echo(json.dumps(content, indent=2))
        return
    for line in lines:
        click.echo(line)
