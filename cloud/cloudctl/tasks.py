"""`cloudctl task`: the installation's own periodic work, how it went, and running one task now.

Runs that people have begin by themselves are `schedules`. Tests: tests/integration/cloud/schedules/test_schedules.py.
"""

from typing import Any

import click

from cloud.cloudctl import doors, printing
from cloud.schedules import runner, selectors
from local_daemon.protocol import errors


@click.group()
def task() -> None:
    """The installation's periodic work."""
    doors.in_place_required()


@task.command(name="list")
@printing.output_option
def list_() -> None:
    """Each task: when it ran, how that went, when it runs next."""
    printing.rows_print([_facts(task) for task in selectors.task_list()])


@task.command(name="run")
@click.argument("name")
@printing.output_option
def run_(*, name: str) -> None:
    """Run a task here and now, unless it runs elsewhere."""
    try:
        told = runner.run(name)
    except runner.UnknownTask as error:
        raise errors.NotFound(f"There is no task {name!r}; see `cloudctl task list`.") from error
    if told is None:
        raise errors.InvalidTransition("It runs elsewhere at this moment.")
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
