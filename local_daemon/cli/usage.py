"""`ropeway usage`: what a run, a step or the last days used, by executor and model or by day, as the executors told it.

Tests: tests/integration/daemon/test_cli_usage.py.
"""

from collections.abc import Iterator
from datetime import timedelta

import click

from local_daemon.cli import naming, options, output, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import ids, policies
from local_daemon.protocol import usage as usage_messages

_UNKNOWN = "-"
_DAYS_MAX = 31
_DAYS_BY_DAY = 7
_NUMBERS = ("attempts", "time", "tokens in", "of them cached", "tokens out", "cost")
"""The columns after those that are words."""


@click.command()
@click.option("--run", "run_id", metavar="RUN_ID", shell_complete=values.run, help="Of this run.")
@click.option("--step", "step_id", metavar="STEP_ID", shell_complete=values.step, help="Of this step.")
@click.option(
    "--days",
    type=click.IntRange(1, _DAYS_MAX),
    help="Of the repository in so many last days (default: 1; by day 7, of UTC, of which today is the last).",
)
@click.option(
    "--by",
    "by",
    type=click.Choice([each.value for each in usage_messages.UsageBy]),
    default=usage_messages.UsageBy.MODEL.value,
    show_default=True,
    help="A line for each executor and model, or for each day.",
)
@values.repository_option
@options.json_option
@options.with_daemon()
def usage(
    client: DaemonClient,
    *,
    run_id: str | None,
    step_id: str | None,
    days: int | None,
    by: str,
    repository: str | None,
    as_json: bool,
) -> None:
    """Show what was used of tokens, money and time, and of which budget.

    By executor and model or by day, of the repository's last days unless --run or --step say otherwise. An attempt
    counts on the day on which it began."""
    if sum(said is not None for said in (run_id, step_id, days)) > 1:
        raise click.UsageError("Say one of --run, --step and --days.")
    is_by_day = by == usage_messages.UsageBy.DAY
    query: dict[str, str | int] = {"by": by} if is_by_day else {}
    if run_id is not None:
        place = naming.place_find(client, repository, ids.IdPrefix.RUN, run_id)
        query["run_id"] = place["run_id"]
    elif step_id is not None:
        place = naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)
        query["step_id"] = place["step_id"]
    else:
        place = {"repository_id": options.repository_choose(client, repository)}
        query["days"] = days or (_DAYS_BY_DAY if is_by_day else 1)
    view = client.call("usage.get", usage_messages.UsageView, parameters=place, query=query)
    options.show(view, as_json=as_json, lines=_lines(view, _by_day(view) if is_by_day else _by_model(view)))


def _by_model(view: usage_messages.UsageView) -> list[tuple[str, ...]]:
    rows = [(by.executor, _UNKNOWN if by.model is None else by.model, *_numbers(by.spent)) for by in view.by]
    return _with_sum([("executor", "model", *_NUMBERS), *rows], ("all", "", *_numbers(view.spent)))


def _by_day(view: usage_messages.UsageView) -> list[tuple[str, ...]]:
    rows = [(on.day, *_numbers(on.spent)) for on in view.by_day]
    return _with_sum([("day", *_NUMBERS), *rows], ("all", *_numbers(view.spent)))


def _with_sum(rows: list[tuple[str, ...]], sum_row: tuple[str, ...]) -> list[tuple[str, ...]]:
    """A single row is its own sum."""
    return rows if len(rows) == 2 else [*rows, sum_row]


def _lines(view: usage_messages.UsageView, rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield _of_what(view)
    if view.spent.attempts == 0:
        yield "  nothing was used"
    else:
        words = len(rows[0]) - len(_NUMBERS)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  " + "  ".join(
                cell.ljust(width) if number < words else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
    if view.spent.unreported:
        yield f"  {_attempts(view.spent.unreported)} told no tokens: there is more than these sums"
    if view.spent.partial:
        yield f"  {_attempts(view.spent.partial)} ended before all was told: there may be more than these sums"
    if view.budget is not None:
        yield f"  budget: {_budget(view.budget)}" + (f"; used up: {view.exhausted}" if view.exhausted else "")


def _of_what(view: usage_messages.UsageView) -> str:
    if view.since is not None:
        return f"since {view.since:%Y-%m-%d %H:%M} UTC"
    return view.step_id or view.run_id or ""


def _numbers(spent: usage_messages.SpentView) -> tuple[str, ...]:
    return (
        str(spent.attempts),
        output.duration(timedelta(milliseconds=spent.duration_ms)),
        _count(spent.input_tokens),
        _count(spent.cached_input_tokens),
        _count(spent.output_tokens),
        _UNKNOWN if spent.cost_usd is None else f"${spent.cost_usd:,.4f}",
    )


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"


def _attempts(number: int) -> str:
    return f"{number} attempt" + ("" if number == 1 else "s")


def _budget(budget: policies.Budget) -> str:
    limits = []
    if budget.input_tokens is not None:
        limits.append(f"{budget.input_tokens:,} tokens in")
    if budget.output_tokens is not None:
        limits.append(f"{budget.output_tokens:,} tokens out")
    if budget.cost_usd is not None:
        limits.append(f"${budget.cost_usd:,.2f}")
    if budget.duration_s is not None:
        limits.append(f"{timedelta(seconds=budget.duration_s)} of work")
    return ", ".join(limits)
