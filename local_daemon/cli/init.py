"""`ropeway init`: a repository made ready for its first task, and what to do next.

Doing it again changes nothing that is there. Tests: tests/integration/daemon/test_first_minutes.py.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from local_daemon.cli import options, values
from local_daemon.client import http
from local_daemon.config import home as homes
from local_daemon.config import repository_file, settings
from local_daemon.protocol import errors, limits, messages

_NAMED_MAX = 3
_LOOKED_AT_MAX = 20
"""Whether a repository is where it was is asked of git, one by one."""

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("path", type=_FOLDER, default=Path())
@click.option(
    "--executor",
    shell_complete=values.executor,
    help="Who does a task that names nobody; written to .ropeway/repository.toml.",
)
@options.json_option
@click.pass_obj
def init(home: homes.Home, *, path: Path, executor: str | None, as_json: bool) -> None:
    """Make the repository at PATH (default: here) ready, starting a daemon where none runs.

    Writes .ropeway/repository.toml, which you commit, and lists the executors found here."""
    root = options.repository_folder(home, str(path))
    assert root is not None  # a path was given
    _defaults(root)
    with http.connect_or_start(home, options.daemon_start) as client:
        added = options.repository_add(client, str(path), label=None)
        found = client.call("instance.get", messages.InstanceView).executors
        before = _before(client, added)
    if executor is not None and executor not in {each.name for each in found}:
        raise errors.InvalidRequest(f"There is no executor {executor!r}; see `ropeway doctor`.")
    chosen = _default_choose(root, home, found, executor, asks=not as_json and sys.stdin.isatty())
    # A bare repository has no place for a committed file.
    has_place = (root / ".git").exists() or added.is_folder
    try:
        is_written = has_place and repository_file.file_write(root, executor=chosen)
    except OSError as error:
        raise click.ClickException(f"{repository_file.PLACE} can't be written: {error.strerror}.") from error
    default = _defaults(root).executor or settings.settings_read(home.settings).executors.default
    document: dict[str, Any] = {
        **added.model_dump(mode="json"),
        "file": str(repository_file.PLACE),
        "file_written": is_written,
        "default_executor": default,
        "executors": [each.model_dump(mode="json") for each in found],
    }
    told = _file_told(is_written=is_written, has_place=has_place)
    lines = [*_before_lines(added, before), *_lines(added, found, default, told)]
    options.show(document, as_json=as_json, lines=lines)


def _defaults(root: Path) -> repository_file.Defaults:
    try:
        return repository_file.defaults_read(root)
    except repository_file.RepositoryFileInvalid as error:
        raise errors.InvalidRequest(str(error)) from error


def _default_choose(
    root: Path,
    home: homes.Home,
    found: tuple[messages.ExecutorView, ...],
    named: str | None,
    *,
    asks: bool,
) -> str | None:
    """Who is to be written down as the default: who was named; where nobody is chosen yet, the only one there is, or
    whom the operator picks."""
    if named is not None:
        return named
    if _defaults(root).executor or settings.settings_read(home.settings).executors.default:
        return None
    usable = _usable(found)
    if len(usable) == 1:
        return usable[0]
    if usable and asks:
        return str(click.prompt("Who does a task that names nobody?", type=click.Choice(usable), err=True))
    return None


def _before(client: http.DaemonClient, added: messages.RepositoryView) -> list[messages.RepositoryView]:
    """Where nothing was done here yet: what it may have been before, repositories that were forgotten or are not where
    they were any more. Those of the same name, or else the few there are."""
    if added.is_folder or added.head_seq:
        return []
    found = [each for each in _listed(client, only="forgotten") if each.head_seq]
    others = (each for each in _listed(client) if each.repository_id != added.repository_id and not each.is_folder)
    found.extend(each for each in itertools.islice(others, _LOOKED_AT_MAX) if _is_gone(client, each))
    may_be = [each for each in found if not each.is_folder]
    return [each for each in may_be if each.label == added.label][-_NAMED_MAX:] or may_be[-_NAMED_MAX:]


def _listed(client: http.DaemonClient, *, only: str | None = None) -> tuple[messages.RepositoryView, ...]:
    query = options.page_query(limit=limits.PAGE_ITEMS_MAX, cursor=None, only=only)
    return client.call("repositories.list", messages.RepositoryPage, query=query).items


def _is_gone(client: http.DaemonClient, known: messages.RepositoryView) -> bool:
    place = {"repository_id": known.repository_id}
    return client.call("repositories.get", messages.RepositoryView, parameters=place).head_commit is None


def _before_lines(added: messages.RepositoryView, before: Sequence[messages.RepositoryView]) -> Iterator[str]:
    if not before:
        return
    for each in before:
        yield f"{each.label} was known before as {each.repository_id}: forgotten since, or not where it was any more."
    yield "If that is what lies here, its history goes on with:"
    yield f"  ropeway repository forget {added.repository_id}"
    for each in before:
        yield f"  ropeway repository relocate {each.repository_id} ."
    if len(before) > 1:
        yield "  (whichever it was; it is refused where it was another one)"


def _file_told(*, is_written: bool, has_place: bool) -> str:
    if not has_place:
        return f"In a bare repository {repository_file.PLACE} counts as it is at HEAD: commit it in a clone."
    return f"{repository_file.PLACE} is {'written: commit it' if is_written else 'there and stays as it is'}."


def _lines(
    added: messages.RepositoryView,
    found: tuple[messages.ExecutorView, ...],
    default: str | None,
    told: str,
) -> Iterator[str]:
    yield f"{added.label} is known to Ropeway as {added.repository_id}."
    yield told
    yield "Executors on this machine:"
    for each in found:
        if each.name.startswith("fake-"):
            continue
        mark = "*" if each.name == default else "-"
        said = each.version or "found" if each.is_available else each.reason or "not available"
        yield f"  {mark} {each.name}: {said}"
    yield "Next:"
    if added.head_commit is None:
        yield "  git add --all && git commit        # work begins at a commit, and there is none yet"
    if default is None:
        usable = _usable(found)
        if not usable:
            yield "  install one of them, log in to it, and run `ropeway init` again; until then:"
            yield "  ropeway submit --wait --patch change.diff                        # apply a diff of your own"
            yield '  ropeway submit --wait --goal "Pretend" --executor fake-success   # only see how it goes'
            return
        yield f"  ropeway init --executor {usable[0]}   # choose who does a task that names nobody"
    yield '  ropeway submit --wait --goal "Say what to do"'
    yield "  ropeway watch                      # in another terminal"


def _usable(found: tuple[messages.ExecutorView, ...]) -> list[str]:
    from local_daemon.executors import registry

    return [each.name for each in found if each.is_available and registry.works_of_itself(each.name)]
