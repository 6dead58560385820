"""`cloudctl schedule`: runs that begin by themselves, at one time or at every time of a cron expression.

Tests: tests/integration/cloud/cloudctl/test_schedules.py.
"""

from collections.abc import Callable
from typing import Any, BinaryIO
from uuid import UUID

import click

from cloud.cloudctl import acting, documents, printing
from cloud.schedules import run_schedules, selectors
from cloud.schedules.models import RunSchedule, WhenAway

_WHEN_AWAY = click.Choice(WhenAway.values)
_MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
_starts_option = click.option("--at", "starts_at", type=_MOMENT, help="When, once: 2026-12-01T06:00+01:00.")
_cron_option = click.option("--cron", help="When, again and again: `0 6 * * 1-5`.")
_zone_option = click.option("--time-zone", help="Whose clock the cron expression means; UTC without.")
_away_option = click.option("--when-away", type=_WHEN_AWAY, help="When its machine is away; skip without.")
_tasks_option = click.option("--tasks", "tasks_file", type=click.File("rb"), help="TaskSpecs: a JSON list.")
_place_option = click.option("--location", help="Which of its project's places; not needed where it has one.")


@click.group()
def schedule() -> None:
    """Runs that begin by themselves."""


@schedule.command(name="create")
@acting.organization_option
@click.option("--project", "project_name", required=True, help="Id of a project, or WORKSPACE/PROJECT.")
@click.option("--name", required=True, help="What people call it.")
@click.option("--objective", help="What its runs are for; the goal without.")
@click.option("--goal", help="What to do, in words: one task.")
@click.option("--executor", help="Who does it, with --goal.")
@_tasks_option
@_starts_option
@_cron_option
@_zone_option
@_away_option
@_place_option
@printing.output_option
def schedule_create(
    *,
    organization: str,
    project_name: str,
    name: str,
    objective: str | None,
    goal: str | None,
    executor: str | None,
    tasks_file: BinaryIO | None,
    **given: Any,
) -> None:
    """Have runs begin by themselves; they fire in the installation's name."""
    service = run_schedules.run_schedule_create
    tasks = _tasks(goal, executor, tasks_file)
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service, **acting.target_named(None, project_name))
        row = service(grant=grant, name=name, objective=objective or goal or name, tasks=tasks, **_given(given))
        facts = _facts(row)
    printing.facts_print(facts)


@schedule.command(name="list")
@acting.organization_option
@click.option("--project", "project_name", help="Only those of this project.")
@acting.paged
@printing.output_option
def schedule_list(*, organization: str, project_name: str | None, limit: int, after: UUID | None) -> None:
    """The organization's schedules."""
    service = selectors.run_schedule_page
    with acting.acting_in(organization) as principal:
        grant, found = acting.granted(principal, service), acting.target_named(None, project_name)
        page = service(grant=grant, project_id=found["project_id"], limit=limit, after=after)
        rows = [_facts(row) for row in page.items]
    printing.rows_print(rows, next_after=page.next_after)


@schedule.command(name="show")
@acting.organization_option
@click.argument("schedule_id", type=click.UUID)
@printing.output_option
def schedule_show(*, organization: str, schedule_id: UUID) -> None:
    """One schedule, and what came of its last times."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.run_schedule_get)
        row = selectors.run_schedule_get(grant=grant, schedule_id=schedule_id)
        fired = selectors.run_firing_list(grant=grant, schedule_id=schedule_id, limit=20)
        facts = {**_facts(row), "objective": row.objective, "tasks": row.tasks}
    names = ("due_at", "state", "run_id", "code", "tries", "ended_at")
    printing.facts_print(facts, parts={"firings": [printing.row_facts(firing, *names) for firing in fired]})


@schedule.command(name="update")
@acting.organization_option
@click.argument("schedule_id", type=click.UUID)
@click.option("--name", help="Another name.")
@click.option("--objective", help="Another objective.")
@_tasks_option
@_starts_option
@_cron_option
@_zone_option
@_away_option
@_place_option
@click.option("--version", type=int, required=True, help="The one that you saw: so that no change is lost.")
@printing.output_option
def schedule_update(
    *, organization: str, schedule_id: UUID, version: int, tasks_file: BinaryIO | None, **given: Any
) -> None:
    """Change what is named; from then on it fires in the installation's name."""
    service = run_schedules.run_schedule_update
    changes = _given(given)
    if tasks_file is not None:
        changes["tasks"] = documents.list_read(tasks_file)
    if "cron" in changes:
        changes["starts_at"] = None
    elif "starts_at" in changes:
        changes["cron"] = ""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        facts = _facts(service(grant=grant, schedule_id=schedule_id, version=version, changes=changes))
    printing.facts_print(facts)


@schedule.command(name="run")
@acting.organization_option
@click.argument("schedule_id", type=click.UUID)
@printing.output_option
def schedule_run(*, organization: str, schedule_id: UUID) -> None:
    """Have the worker begin it within the minute, whatever its times."""
    service = run_schedules.run_schedule_fire
    with acting.acting_in(organization) as principal:
        firing = service(grant=acting.granted(principal, service), schedule_id=schedule_id)
    printing.facts_print(printing.row_facts(firing, "id", "schedule_id", "due_at", "state"))


def _simple(service: Callable[..., RunSchedule], verb: str) -> None:
    @schedule.command(name=verb, help=service.__doc__)
    @acting.organization_option
    @click.argument("schedule_id", type=click.UUID)
    @printing.output_option
    def command(*, organization: str, schedule_id: UUID) -> None:
        with acting.acting_in(organization) as principal:
            facts = _facts(service(grant=acting.granted(principal, service), schedule_id=schedule_id))
        printing.facts_print(facts)


for _verb in ("pause", "resume", "delete"):
    _simple(getattr(run_schedules, f"run_schedule_{_verb}"), _verb)


def _tasks(goal: str | None, executor: str | None, file: BinaryIO | None) -> list[Any]:
    if (goal is None) == (file is None):
        raise click.UsageError("Say what to do with either --goal or --tasks.")
    if file is not None:
        return documents.list_read(file)
    if executor is None:
        raise click.UsageError("Say who does it with --executor.")
    return [{"goal": goal, "executor": executor}]


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _facts(row: RunSchedule) -> dict[str, Any]:
    facts = printing.row_facts(row, "id", "name", "status", "cron", "starts_at", "time_zone", "when_away")
    more = printing.row_facts(row, "next_due_at", "project_id", "location", "made_by", "version")
    return {**facts, **more, "tasks": len(row.tasks)}
