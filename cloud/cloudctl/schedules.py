"""`cloudctl schedule`: runs that begin by themselves, at one time or at every time of a cron expression.

Tests: tests/integration/cloud/cloudctl/test_schedules.py.
"""

from datetime import datetime
from typing import Any, BinaryIO

import click

from cloud.cloudctl import acting, documents, doors, printing

# As the API says them; a test holds the two together.
WHEN_AWAY = ("skip", "queue")
_ALL = "/run-schedules"
_ONE = "/run-schedules/{run_schedule_id}"
_COLUMNS = (
    "run_schedule_id",
    "name",
    "status",
    "stopped_because",
    "cron",
    "starts_at",
    "time_zone",
    "next_due_at",
    "project_id",
    "version",
)
_MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
_starts_option = click.option("--at", "starts_at", type=_MOMENT, help="When, once: 2026-12-01T06:00+01:00.")
_cron_option = click.option("--cron", help="When, again and again: `0 6 * * 1-5`.")
_zone_option = click.option("--time-zone", help="Whose clock the cron expression means; the organization's without.")
_away_option = click.option("--when-away", type=click.Choice(WHEN_AWAY), help="When its machine is away; skip without.")
_tasks_option = click.option("--tasks", "tasks_file", type=click.File("rb"), help="TaskSpecs: a JSON list.")
_manifest_option = click.option("--manifest", "manifest_file", type=click.File("rb"), help="A whole RunManifest: JSON.")
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
@_manifest_option
@_starts_option
@_cron_option
@_zone_option
@_away_option
@_place_option
@printing.output_option
def schedule_create(
    *,
    organization: str | None,
    project_name: str,
    name: str,
    objective: str | None,
    goal: str | None,
    executor: str | None,
    tasks_file: BinaryIO | None,
    manifest_file: BinaryIO | None,
    starts_at: datetime | None,
    **more: Any,
) -> None:
    """Have runs begin by themselves; they fire in the name of who makes it."""
    door = doors.door(organization)
    body = {
        "project_id": acting.project_named(door, project_name),
        "name": name,
        **_work(name, objective, goal, executor, tasks_file, manifest_file),
        **_times(starts_at),
        **acting.given(more),
    }
    printing.facts_print(door.ask("POST", _ALL, body=body))


@schedule.command(name="list")
@acting.organization_option
@click.option("--project", "project_name", help="Only those of this project.")
@acting.paged
@printing.output_option
def schedule_list(*, organization: str | None, project_name: str | None, limit: int, cursor: str | None) -> None:
    """The organization's schedules."""
    door = doors.door(organization)
    query = acting.target_named(door, None, project_name)
    printing.page_print(acting.page_ask(door, _ALL, limit=limit, cursor=cursor, query=query), *_COLUMNS)


@schedule.command(name="show")
@acting.organization_option
@click.argument("schedule_id", type=click.UUID)
@printing.output_option
def schedule_show(*, organization: str | None, schedule_id: str) -> None:
    """One schedule, and what came of its last times."""
    names, door = {"run_schedule_id": str(schedule_id)}, doors.door(organization)
    found = door.ask("GET", _ONE, names)
    fired = door.ask("GET", "/run-schedules/{run_schedule_id}/firings", names, query={"limit": 20})
    printing.facts_print(found, parts={"firings": fired["items"]})


@schedule.command(name="update")
@acting.organization_option
@click.argument("schedule_id", type=click.UUID)
@click.option("--name", help="Another name.")
@click.option("--objective", help="Another objective.")
@_tasks_option
@_manifest_option
@_starts_option
@_cron_option
@_zone_option
@_away_option
@_place_option
@acting.versioned
@printing.output_option
def schedule_update(
    *,
    organization: str | None,
    schedule_id: str,
    version: int | None,
    tasks_file: BinaryIO | None,
    manifest_file: BinaryIO | None,
    starts_at: datetime | None,
    **more: Any,
) -> None:
    """Change what is named; from then on it fires in your name."""
    changes = {**_times(starts_at), **acting.given(more)}
    if tasks_file is not None:
        changes["tasks"] = documents.list_read(tasks_file)
    if manifest_file is not None:
        changes["manifest"] = documents.object_read(manifest_file)
    if "cron" in changes:
        changes["starts_at"] = None
    elif "starts_at" in changes:
        changes["cron"] = ""
    names, door = {"run_schedule_id": str(schedule_id)}, doors.door(organization)
    if version is None:
        version = door.ask("GET", _ONE, names)["version"]
    printing.facts_print(door.ask("PATCH", _ONE, names, body=changes, if_match=acting.matching(version)))


@schedule.command(name="run")
@acting.organization_option
@click.argument("schedule_id", type=click.UUID)
@printing.output_option
def schedule_run(*, organization: str | None, schedule_id: str) -> None:
    """Have the worker begin it within the minute, whatever its times."""
    names, door = {"run_schedule_id": str(schedule_id)}, doors.door(organization)
    printing.facts_print(door.ask("POST", "/run-schedules/{run_schedule_id}/fire", names))


def _simple(verb: str, method: str, path: str, means: str) -> None:
    @schedule.command(name=verb, help=means)
    @acting.organization_option
    @click.argument("schedule_id", type=click.UUID)
    @acting.versioned
    @printing.output_option
    def command(*, organization: str | None, schedule_id: str, version: int | None) -> None:
        names, door = {"run_schedule_id": str(schedule_id)}, doors.door(organization)
        printing.facts_print(door.ask(method, path, names, if_match=acting.matching(version)))


_simple("pause", "POST", "/run-schedules/{run_schedule_id}/pause", "It fires no more until it is resumed.")
_simple("resume", "POST", "/run-schedules/{run_schedule_id}/resume", "It fires again, at its next time from now on.")
_simple("delete", "DELETE", _ONE, "It fires never again; what it did stays on record.")


def _work(
    name: str,
    objective: str | None,
    goal: str | None,
    executor: str | None,
    tasks_file: BinaryIO | None,
    manifest_file: BinaryIO | None,
) -> dict[str, Any]:
    """What it does: one task in words, tasks from a file, or a manifest, which says all of it."""
    if [goal, tasks_file, manifest_file].count(None) != 2:
        raise click.UsageError("Say what to do with one of --goal, --tasks and --manifest.")
    if manifest_file is not None:
        return {"manifest": documents.object_read(manifest_file)}
    told = {"objective": objective or goal or name}
    if tasks_file is not None:
        return {**told, "tasks": documents.list_read(tasks_file)}
    if executor is None:
        raise click.UsageError("Say who does it with --executor.")
    return {**told, "tasks": [{"goal": goal, "executor": executor}]}


def _times(starts_at: datetime | None) -> dict[str, Any]:
    return {} if starts_at is None else {"starts_at": starts_at.isoformat()}
