"""`cloudctl schedules`: which work is periodic, how it went, and running one task now.

Tests: tests/integration/cloud/schedules/test_command.py.
"""

from typing import Any

import click

from cloud.cloudctl import printing
from cloud.schedules import runner, selectors


@click.group()
def schedules() -> None:
    """See and run periodic work."""


@schedules.command(name="list")
@printing.output_option
def list_() -> None:
    """Each task: when it ran, how that went, when it runs next."""
    printing.rows_print([_facts(task) for task in selectors.task_list()])


@schedules.command()
@click.argument("name")
@printing.output_option
def run(*, name: str) -> None:
    """Run a task here and now, unless it runs elsewhere."""
    try:
        told = runner.run(name)
    except runner.UnknownTask as error:
        raise click.ClickException(f"There is no task {name!r}; see `cloudctl schedules list`.") from error
    if told is None:
        raise click.ClickException("It runs elsewhere at this moment.")
    printing.facts_print({"task": name, "told": told})


def _facts(task: selectors.TaskView) -> dict[str, Any]:
    last = task.last
    return {
        "name": task.name,
        "every_minutes": task.every_minutes,
        "next_run_at": task.next_run_at,
        "outcome": last and last.outcome,
        "started_at": last and last.started_at,
        "duration_ms": last and last.duration_ms,
        "told": last and last.told,
        "killed": last and last.killed,
    }
