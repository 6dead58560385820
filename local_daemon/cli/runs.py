"""`ropeway run …`.

Tests: tests/integration/daemon/test_cli.py.
"""

import click

from local_daemon.cli import options
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import ids, limits, messages, states

_STATES = click.Choice([state.value for state in states.RunState])


@click.group()
def run() -> None:
    """Runs: one objective each, which holds steps."""


@run.command("list")
@click.option("--state", type=_STATES, help="Only runs in this state.")
@click.option("--limit", type=click.IntRange(1, limits.PAGE_ITEMS_MAX), default=20, show_default=True)
@click.option("--cursor", help="Where the page before ended.")
@options.repository_option
@options.json_option
@options.with_daemon()
def run_list(
    client: DaemonClient, *, repository: str | None, as_json: bool, limit: int, cursor: str | None, state: str | None
) -> None:
    """List runs, newest first."""
    place = {"repository_id": options.repository_choose(client, repository)}
    query = {name: value for name, value in (("limit", limit), ("cursor", cursor), ("state", state)) if value}
    page = client.call("runs.list", messages.RunPage, parameters=place, query=query)
    options.show(page, as_json=as_json, lines=[_line(item) for item in page.items] or ["No run yet."])


@run.command("get")
@click.argument("run_id")
@options.repository_option
@options.json_option
@options.with_daemon()
def run_get(client: DaemonClient, *, run_id: str, repository: str | None, as_json: bool) -> None:
    """Show a run and its steps."""
    parameters = _parameters(client, repository, run_id)
    found = client.call("runs.get", messages.RunView, parameters=parameters)
    steps = client.call("steps.list", messages.StepPage, parameters=parameters, query={"limit": limits.PAGE_ITEMS_MAX})
    document = {**found.model_dump(mode="json"), "steps": steps.model_dump(mode="json")["items"]}
    lines = [_line(found), *(f"  {step.step_id}  {step.state}  {step.title}" for step in steps.items)]
    options.show(document, as_json=as_json, lines=lines)


@run.command("close")
@click.argument("run_id")
@options.repository_option
@options.json_option
@options.with_daemon()
def run_close(client: DaemonClient, *, run_id: str, repository: str | None, as_json: bool) -> None:
    """Say that no further step comes."""
    parameters = _parameters(client, repository, run_id)
    answer = client.call("runs.close", messages.RunAnswer, parameters=parameters, body=messages.Empty())
    options.show(answer.run, as_json=as_json, lines=[_line(answer.run)])


@run.command("cancel")
@click.argument("run_id")
@click.option("--reason", default="", help="Kept on the record.")
@options.repository_option
@options.json_option
@options.with_daemon()
def run_cancel(client: DaemonClient, *, run_id: str, reason: str, repository: str | None, as_json: bool) -> None:
    """Ask every unfinished step of a run to end."""
    parameters = _parameters(client, repository, run_id)
    body = options.message_checked(messages.CancelRequest, {"reason": reason})
    answer = client.call("runs.cancel", messages.RunAnswer, parameters=parameters, body=body)
    options.show(answer.run, as_json=as_json, lines=[_line(answer.run)])


def _parameters(client: DaemonClient, repository: str | None, run_id: str) -> dict[str, str]:
    options.id_require(ids.IdPrefix.RUN, run_id)
    return {"repository_id": options.repository_choose(client, repository), "run_id": run_id}


def _line(view: messages.RunView) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in view.step_counts.items() if count)
    title = view.title or view.name or view.objective.partition("\n")[0][:80]
    return f"{view.run_id}  {view.state}  {title}" + (f"  ({counts})" if counts else "")
