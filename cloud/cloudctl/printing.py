"""How commands answer: tables for people on a terminal, and elsewhere JSON, which is what the API answered.

`--json` or `--table` say it where the guess is wrong. What a person is shown are often others' words (a machine's, an
executor's), and never steers their terminal. Tests: tests/unit/cloud/cloudctl/test_printing.py,
tests/integration/cloud/cloudctl/.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click

from local_daemon.protocol import terminals

F = TypeVar("F", bound=Callable[..., Any])

_WIDEST = 48
_AS_JSON = "ropeway.as_json"
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(\.\d+)?(Z|\+00:00)")


def _remember(ctx: click.Context, _parameter: click.Parameter, value: bool | None) -> bool | None:
    ctx.meta[_AS_JSON] = value
    return value


output_option = click.option(
    "--json/--table",
    "as_json",
    default=None,
    callback=_remember,
    expose_value=False,
    help="JSON for programs or a table for people; by default whoever reads standard output.",
)


def is_for_people() -> bool:
    """Whether the running command answers in tables."""
    ctx = click.get_current_context(silent=True)
    as_json = ctx.meta.get(_AS_JSON) if ctx is not None else None
    return sys.stdout.isatty() if as_json is None else not as_json


@contextmanager
def _read_on() -> Iterator[None]:
    """That nobody reads on changes nothing of what the command came to, nor of its status."""
    try:
        yield
    except BrokenPipeError:
        sys.stdout = None


def warnings_tell(answer: Mapping[str, Any]) -> None:
    """Say beside the answer of what the machine warns in it; one of an earlier release warns of nothing."""
    for warning in answer.get("warnings", ()):
        click.echo(terminals.plain_lines(f"warning: {warning}"), err=True)


@_read_on()
def facts_print(facts: Mapping[str, Any], *, parts: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> None:
    """Print one thing, and lists that are part of it; what is None is left out for people."""
    if not is_for_people():
        click.echo(json.dumps({**facts, **(parts or {})}, default=_said))
        return
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value is not None:
            text = terminals.plain_lines(_told(value)).replace("\n", "\n" + " " * (width + 1))
            click.echo(f"{name + ':':<{width}} {text}")
    for name, rows in (parts or {}).items():
        click.echo(f"\n{name}:")
        _table_print(rows)


def rows_print(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a list that is whole: `{"items": […]}`, or a table that fits a terminal's lines."""
    page_print({"items": rows})


@_read_on()
def page_print(page: Mapping[str, Any], *columns: str) -> None:
    """Print a page of a list: as it is, or its columns as a table. A column `a.b` lies within `a`."""
    if not is_for_people():
        click.echo(json.dumps(page, default=_said))
        return
    _table_print(columns_of(page["items"], *columns))
    if page.get("next_cursor") is not None:
        click.echo(f"More: --cursor {page['next_cursor']}")


def columns_of(rows: Sequence[Mapping[str, Any]], *columns: str) -> list[dict[str, Any]]:
    """The named columns of rows, or all; `a.b` lies within `a`."""
    return [{name: _within(row, name) for name in columns or row} for row in rows]


def _table_print(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        click.echo("None.")
        return
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _within(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def _said(value: Any) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(inner)}" for name, inner in value.items() if inner is not None)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return _MOMENT.sub(r"\1 \2", str(value))


def _cell(value: Any) -> str:
    text = "–" if value is None or value == "" else _told(value) or "–"
    text = " ".join(terminals.plain_lines(text).split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
