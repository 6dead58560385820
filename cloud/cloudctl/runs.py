"""`cloudctl run`: what the cloud last heard of runs, and starting, cancelling and waiting for one on its machine.

Lists and `show` need no machine: they say as of when they are. Tests: tests/journeys/test_cloudctl.py.
"""

import time
from typing import Any, BinaryIO

import click

from cloud.cloudctl import acting, asking, documents, doors, exits, printing
from local_daemon.protocol import limits, manifests
from local_daemon.protocol.states import RUN_TERMINAL, STEP_SETTLED, RunState

_STATES = click.Choice([state.value for state in RunState])
_WAIT_S = 20.0
_RUN = ("run_id", "state", "title", "run.step_counts", "project_id", "machine", "as_of")
_STEP = ("step_id", "state", "title", "executor", "step.attempts", "step.failure.detail", "as_of")
_ENDED = {
    RunState.COMPLETED: exits.Exit.DONE,
    RunState.WAITING: exits.Exit.WAITING,
    RunState.FAILED: exits.Exit.FAILED,
    RunState.CANCELLED: exits.Exit.FAILED,
}
_timeout_option = click.option(
    "--timeout", "timeout_s", default=3600.0, show_default=True, type=click.FloatRange(0, 7 * 86_400), help="Seconds."
)


@click.group()
def run() -> None:
    """Runs: objectives that machines work on."""


@run.command(name="list")
@acting.organization_option
@click.option("--project", "project_name", help="Only those of this project.")
@click.option("--state", type=_STATES, help="Only those.")
@click.option("--search", help="Part of a title.")
@acting.paged
@printing.output_option
def run_list(
    *, organization: str | None, project_name: str | None, limit: int, cursor: str | None, **query: str | None
) -> None:
    """The organization's runs, newest first, as last heard of."""
    door = doors.door(organization)
    asked = {**query, **acting.target_named(door, None, project_name)}
    printing.page_print(acting.page_ask(door, "/runs", limit=limit, cursor=cursor, query=asked), *_RUN)


@run.command(name="show")
@acting.organization_option
@click.argument("run_id")
@printing.output_option
def run_show(*, organization: str | None, run_id: str) -> None:
    """One run and its steps, as last heard of."""
    door = doors.door(organization)
    found = door.ask("GET", "/runs/{run_id}", {"run_id": run_id})
    query = {"run_id": run_id}
    steps = acting.page_ask(door, "/steps", limit=acting.ROWS_MAX, cursor=None, query=query)["items"]
    if printing.is_for_people():
        steps = printing.columns_of(steps, *_STEP)
    printing.facts_print(found, parts={"steps": steps})


@run.command(name="start")
@acting.organization_option
@click.option("--project", "project_name", required=True, help="Id of a project, or WORKSPACE/PROJECT.")
@click.option("--location", help="Which of its places; not needed where it has one. See `cloudctl location list`.")
@click.option("--goal", help="What to do, in words: a run of one step.")
@click.option("--executor", help="Who does it, with --goal.")
@click.option("--manifest", type=click.File("rb"), help="A RunManifest, JSON (- for standard input).")
@click.option("--name", help="A name for the run: the same once more returns what exists.")
@click.option("--wait", "waits", is_flag=True, help="Stay until it has ended or waits for a decision.")
@_timeout_option
@printing.output_option
def run_start(
    *,
    organization: str | None,
    project_name: str,
    location: str | None,
    goal: str | None,
    executor: str | None,
    manifest: BinaryIO | None,
    name: str | None,
    waits: bool,
    timeout_s: float,
) -> None:
    """Put a run on the project's machine."""
    body = asking.body_checked(manifests.RunManifest, _manifest(goal, executor, manifest, name))
    machine = asking.machine_of_project(doors.door(organization), project_name, location)
    answer = machine.ask("manifests.submit", body=body)
    printing.warnings_tell(answer)
    started = answer["run"]
    if not waits:
        printing.facts_print(started)
        return
    _wait(machine, started["run_id"], timeout_s)


@run.command(name="cancel")
@acting.organization_option
@click.argument("run_id")
@click.option("--reason", default="", help="Kept on the record.")
@printing.output_option
def run_cancel(*, organization: str | None, run_id: str, reason: str) -> None:
    """Ask every unfinished step of a run to end; what was done is kept."""
    body = {"reason": reason}
    answer = doors.door(organization).ask("POST", "/runs/{run_id}/cancel", {"run_id": run_id}, body=body)
    printing.facts_print(answer["run"])


@run.command(name="events")
@acting.organization_option
@click.argument("run_id")
@acting.paged
@printing.output_option
def run_events(*, organization: str | None, run_id: str, limit: int, cursor: str | None) -> None:
    """What happened to a run, oldest first."""
    door = doors.door(organization)
    page = acting.page_ask(door, "/runs/{run_id}/events", {"run_id": run_id}, limit=limit, cursor=cursor)
    printing.page_print(page, "event_id", "event_type", "at", "step_id", "call_id")


@run.command(name="wait")
@acting.organization_option
@click.argument("run_id")
@_timeout_option
@printing.output_option
def run_wait(*, organization: str | None, run_id: str, timeout_s: float) -> None:
    """Stay until a run has ended (status 0: completed, else 1) or waits for a decision (7); 6 after --timeout."""
    door = doors.door(organization)
    heard = door.ask("GET", "/runs/{run_id}", {"run_id": run_id})
    _wait(asking.machine_of(door, heard), run_id, timeout_s)


def _wait(machine: asking.Machine, run_id: str, timeout_s: float) -> None:
    """The machine holds each answer back until a step has settled: nobody asks in vain."""
    until = time.monotonic() + timeout_s
    while True:
        found = machine.ask("runs.get", {"run_id": run_id})
        state = RunState(found["state"])
        left_s = until - time.monotonic()
        if state in RUN_TERMINAL or state is RunState.WAITING or left_s <= 0:
            break
        going = _unsettled(machine, run_id)
        if going is None:
            # Between two steps, or open with nothing in it: only whoever planned it knows whether more comes.
            if state is RunState.OPEN:
                break
            continue
        machine.ask("steps.wait", {"step_id": going}, query={"timeout_s": min(_WAIT_S, left_s)})
    printing.facts_print(found)
    click.get_current_context().exit(_ENDED.get(state, exits.Exit.LATER))


def _unsettled(machine: asking.Machine, run_id: str) -> str | None:
    query: dict[str, Any] = {"limit": limits.PAGE_ITEMS_MAX}
    while True:
        page = machine.ask("steps.list", {"run_id": run_id}, query=query)
        for step in page["items"]:
            if step["state"] not in STEP_SETTLED:
                return str(step["step_id"])
        if not page.get("next_cursor"):
            return None
        query["cursor"] = page["next_cursor"]


def _manifest(goal: str | None, executor: str | None, file: BinaryIO | None, name: str | None) -> dict[str, Any]:
    if (goal is None) == (file is None):
        raise click.UsageError("Say what to do with either --goal or --manifest.")
    if file is None:
        if executor is None:
            raise click.UsageError("Say who does it with --executor.")
        task = {"goal": goal, "executor": executor}
        given: Any = {"objective": goal, "steps": [{"name": "task", "task": task}]}
    elif executor is not None:
        raise click.UsageError("--executor goes with --goal; a manifest says it for each step.")
    else:
        given = documents.object_read(file)
    return {**given, "name": name} if name else given
