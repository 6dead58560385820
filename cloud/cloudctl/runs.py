"""`cloudctl run`: what the cloud last heard of runs, and starting, cancelling and waiting for one on its machine.

Lists and `show` need no machine: they say as of when they are. Tests: tests/journeys/test_cloudctl.py.
"""

import time
from typing import Any, BinaryIO

import click

from cloud.cloudctl import acting, asking, documents, exits, printing
from cloud.runs import selectors
from cloud.runs.models import RunSnapshot, StepSnapshot
from local_daemon.protocol import limits, manifests
from local_daemon.protocol.states import RUN_TERMINAL, STEP_SETTLED, RunState

_STATES = click.Choice([state.value for state in RunState])
_WAIT_S = 20.0
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
@click.option("--search", default="", help="Part of a title.")
@acting.limit_option
@click.option("--before", help="Those before this one: the page that follows.")
@printing.output_option
def run_list(
    *, organization: str, project_name: str | None, state: str | None, search: str, limit: int, before: str | None
) -> None:
    """The organization's runs, newest first, as last heard of."""
    with acting.acting_in(organization) as principal:
        rows = selectors.run_page(
            grant=acting.granted(principal, selectors.run_page),
            project_id=acting.target_named(None, project_name)["project_id"],
            state=RunState(state) if state else None,
            search=search,
            limit=limit,
            before=before,
        )
    printing.rows_print([_facts(row) for row in rows], next_before=rows[-1].run_id if len(rows) == limit else None)


@run.command(name="show")
@acting.organization_option
@click.argument("run_id")
@printing.output_option
def run_show(*, organization: str, run_id: str) -> None:
    """One run and its steps, as last heard of."""
    with acting.acting_in(organization) as principal:
        row = selectors.run_get(grant=acting.granted(principal, selectors.run_get), run_id=run_id)
        grant = acting.granted(principal, selectors.step_list)
        steps = [_step_facts(step) for step in selectors.step_list(grant=grant, run_id=run_id)]
    printing.facts_print({**_facts(row), "objective": row.view.get("objective")}, parts={"steps": steps})


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
    organization: str,
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
    machine = asking.machine_of_project(organization, project_name, location)
    started = machine.ask("manifests.submit", body=body)["run"]
    if not waits:
        printing.facts_print(_view_facts(started))
        return
    _wait(machine, started["run_id"], timeout_s)


@run.command(name="cancel")
@acting.organization_option
@click.argument("run_id")
@click.option("--reason", default="", help="Kept on the record.")
@printing.output_option
def run_cancel(*, organization: str, run_id: str, reason: str) -> None:
    """Ask every unfinished step of a run to end; what was done is kept."""
    machine = asking.machine_of_run(organization, run_id)
    answer = machine.ask("runs.cancel", {"run_id": run_id}, body={"reason": reason})
    printing.facts_print(_view_facts(answer["run"]))


@run.command(name="wait")
@acting.organization_option
@click.argument("run_id")
@_timeout_option
@printing.output_option
def run_wait(*, organization: str, run_id: str, timeout_s: float) -> None:
    """Stay until a run has ended (status 0: completed, else 1) or waits for a decision (7); 6 after --timeout."""
    _wait(asking.machine_of_run(organization, run_id), run_id, timeout_s)


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
    printing.facts_print(_view_facts(found))
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


def _facts(row: RunSnapshot) -> dict[str, Any]:
    facts = printing.row_facts(row, "run_id", "state", "title")
    where = {"project": row.project.slug, "machine": row.location.instance.connector.label}
    return {**facts, "steps": _counts(row.view), **where, "as_of": row.as_of}


def _view_facts(view: dict[str, Any]) -> dict[str, Any]:
    facts = {name: view.get(name) for name in ("run_id", "state", "title", "name")}
    return {**facts, "steps": _counts(view), "updated_at": view.get("updated_at")}


def _counts(view: dict[str, Any]) -> list[str]:
    return [f"{count} {state}" for state, count in sorted(view.get("step_counts", {}).items()) if count]


def _step_facts(row: StepSnapshot) -> dict[str, Any]:
    failure = row.view.get("failure") or {}
    facts = printing.row_facts(row, "step_id", "state", "title", "executor")
    return {**facts, "attempts": row.view.get("attempts"), "failure": failure.get("detail"), "as_of": row.as_of}
