"""How commands answer: tables for people on a terminal, JSON for programs.

`--json` or `--table` say it where the guess is wrong. Tests: tests/integration/cloud/cloudctl/.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from django.db.models import Model

F = TypeVar("F", bound=Callable[..., Any])

_WIDEST = 48
_AS_JSON = "ropeway.as_json"


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


def facts_print(facts: Mapping[str, Any], *, parts: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> None:
    """Print one thing, and lists that are part of it; what is None is left out for people."""
    if not is_for_people():
        click.echo(json.dumps({**facts, **(parts or {})}, default=_said))
        return
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value is not None:
            told = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            click.echo(f"{name + ':':<{width}} {told}")
    for name, rows in (parts or {}).items():
        click.echo(f"\n{name}:")
        _table_print(rows)


def rows_print(rows: Sequence[Mapping[str, Any]], *, next_after: Any = None, next_before: Any = None) -> None:
    """Print a list: `{"items": […], "next_after": …}`, or a table that fits a terminal's lines. `next_before` is for
    one that goes from the newest back."""
    if not is_for_people():
        onwards = {"next_after": next_after} if next_before is None else {"next_before": next_before}
        click.echo(json.dumps({"items": rows, **onwards}, default=_said))
        return
    _table_print(rows)
    if next_after is not None:
        click.echo(f"More: --after {next_after}")
    if next_before is not None:
        click.echo(f"More: --before {next_before}")


def _table_print(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        click.echo("None.")
        return
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def row_facts(row: "Model", *names: str) -> dict[str, Any]:
    """The named attributes of a row, `a.b` through its relations, in that order; called by their last word but ids."""
    return {name.replace(".", "_"): _reached(row, name) for name in names}


def _reached(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = getattr(row, name) if row is not None else None
    return row


def _said(value: Any) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
