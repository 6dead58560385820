"""`ropeway run …`.

Tests: tests/integration/daemon/test_cli.py.
"""

import click

from local_daemon.cli import naming, options, run_steps, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import ids, messages, states

_STATES = click.Choice([state.value for state in states.RunState])


@click.group()
def run() -> None:
    """Runs: one objective each, which holds steps."""


@run.command("list")
@click.option("--state", type=_STATES, help="Only runs in this state.")
@options.page_options(default=20)
@values.repository_option
@options.json_option
@options.with_daemon()
def run_list(
    client: DaemonClient, *, repository: str | None, as_json: bool, limit: int, cursor: str | None, state: str | None
) -> None:
    """List runs, newest first."""
    place = {"repository_id": options.repository_choose(client, repository)}
    query = options.page_query(limit=limit, cursor=cursor, state=state)
    page = client.call("runs.list", messages.RunPage, parameters=place, query=query)
    lines = (_line(item) for item in page.items)
    none = "No run yet." if state is None else f"No run is {state}."
    options.show(page, as_json=as_json, lines=options.page_lines(lines, next_cursor=page.next_cursor, none=none))


@run.command("create")
@click.argument("objective")
@click.option("--name", help="A name for the run: creating it again returns the same run.")
@click.option("--title", help="What lists call it (default: its name, or how the objective begins).")
@options.budget_option
@values.repository_option
@options.json_option
@options.with_daemon(starts=True)
def run_create(
    client: DaemonClient,
    *,
    objective: str,
    name: str | None,
    title: str | None,
    budget_usd: float | None,
    repository: str | None,
    as_json: bool,
) -> None:
    """Open a run for steps that you will submit with --run; close it with `ropeway run close`."""
    body = options.message_checked(
        messages.RunCreate,
        {"objective": objective, "name": name, "title": title, "budget": {"cost_usd": budget_usd}},
    )
    place = {"repository_id": options.repository_ensure(client, repository)}
    answer = client.call("runs.create", messages.RunAnswer, parameters=place, body=body)
    options.show(answer, as_json=as_json, lines=[_line(answer.run)])


@run.command("get")
@click.argument("run_id", shell_complete=values.run)
@values.repository_option
@options.json_option
@options.with_daemon()
def run_get(client: DaemonClient, *, run_id: str, repository: str | None, as_json: bool) -> None:
    """Show a run and its steps; of a long one those that wait, work or failed, and the newest."""
    parameters = _parameters(client, repository, run_id)
    found = client.call("runs.get", messages.RunView, parameters=parameters)
    steps = run_steps.run_steps(client, found)
    document = {
        **found.model_dump(mode="json"),
        "steps": [step.model_dump(mode="json") for step in steps.items],
        "steps_left_out": steps.left_out,
    }
    lines = [f"  {step.step_id}  {step.state}  {step.title}" for step in steps.items]
    options.show(document, as_json=as_json, lines=[_line(found), *lines, *steps.left_out_lines(found.run_id)])


@run.command("close")
@click.argument("run_id", shell_complete=values.run)
@values.repository_option
@options.json_option
@options.with_daemon()
def run_close(client: DaemonClient, *, run_id: str, repository: str | None, as_json: bool) -> None:
    """Say that no further step comes."""
    parameters = _parameters(client, repository, run_id)
    answer = client.call("runs.close", messages.RunAnswer, parameters=parameters, body=messages.Empty())
    options.show(answer.run, as_json=as_json, lines=[_line(answer.run)])


@run.command("cancel")
@click.argument("run_id", shell_complete=values.run)
@click.option("--reason", default="", help="Kept on the record.")
@values.repository_option
@options.json_option
@options.with_daemon()
def run_cancel(client: DaemonClient, *, run_id: str, reason: str, repository: str | None, as_json: bool) -> None:
    """Ask every unfinished step of a run to end."""
    parameters = _parameters(client, repository, run_id)
    body = options.message_checked(messages.CancelRequest, {"reason": reason})
    answer = client.call("runs.cancel", messages.RunAnswer, parameters=parameters, body=body)
    options.show(answer.run, as_json=as_json, lines=_asked_to_end(answer.run))


def _parameters(client: DaemonClient, repository: str | None, run_id: str) -> dict[str, str]:
    return naming.place_find(client, repository, ids.IdPrefix.RUN, run_id)


def _asked_to_end(view: messages.RunView) -> list[str]:
    if view.state in states.RUN_TERMINAL:
        return [_line(view)]
    told = "Asked to end: what is at work is being ended. See what becomes of it with:"
    return [_line(view), f"{told} ropeway watch {view.run_id}"]


def _line(view: messages.RunView) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in view.step_counts.items() if count)
    title = view.title or view.name or view.objective.partition("\n")[0][:80]
    return f"{view.run_id}  {view.state}  {title}" + (f"  ({counts})" if counts else "")
