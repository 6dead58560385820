"""`ropeway step …`.

Tests: tests/integration/daemon/test_cli.py.
"""

from collections.abc import Iterator, Mapping

import click

from local_daemon.cli import downloads, exit_codes, naming, options, person, progress, step_record, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, ids, limits, messages, specs, states

_STATES = click.Choice([state.value for state in states.StepState])


@click.group()
def step() -> None:
    """Steps: one unit of work each."""


@step.command("list")
@click.argument("run_id", shell_complete=values.run)
@click.option("--state", type=_STATES, help="Only steps in this state.")
@click.option("--newest", is_flag=True, help="The newest first (default: as they were submitted).")
@options.page_options()
@values.repository_option
@options.json_option
@options.with_daemon()
def step_list(
    client: DaemonClient,
    *,
    run_id: str,
    state: str | None,
    newest: bool,
    limit: int,
    cursor: str | None,
    repository: str | None,
    as_json: bool,
) -> None:
    """List the steps of a run."""
    place = naming.place_find(client, repository, ids.IdPrefix.RUN, run_id)
    order = messages.StepOrder.NEWEST if newest else messages.StepOrder.OLDEST
    query = options.page_query(limit=limit, cursor=cursor, state=state, order=order.value)
    page = client.call("steps.list", messages.StepPage, parameters=place, query=query)
    lines = (f"{item.step_id}  {item.state}  {item.title}" for item in page.items)
    none = "No step yet." if state is None else f"No step is {state}."
    options.show(page, as_json=as_json, lines=options.page_lines(lines, next_cursor=page.next_cursor, none=none))


@step.command("get")
@click.argument("step_id", shell_complete=values.step)
@values.repository_option
@options.json_option
@options.with_daemon()
def step_get(client: DaemonClient, *, step_id: str, repository: str | None, as_json: bool) -> None:
    """Show where a step stands."""
    found = client.call("steps.get", messages.StepView, parameters=_parameters(client, repository, step_id))
    options.show(found, as_json=as_json, lines=[_line(found)])


@step.command("wait")
@click.argument("step_id", shell_complete=values.step)
@options.timeout_option
@values.repository_option
@options.quiet_option
@options.json_option
@options.with_daemon()
def step_wait(
    client: DaemonClient, *, step_id: str, timeout_s: float | None, repository: str | None, quiet: bool, as_json: bool
) -> None:
    """Stay until nothing more happens to a step without a decision."""
    parameters = _parameters(client, repository, step_id)
    found = client.call("steps.get", messages.StepView, parameters=parameters)
    with progress.told_where_it_goes_on(found):
        found = progress.step_follow(client, found, timeout_s=timeout_s, is_quiet=quiet or as_json)
    options.show(found, as_json=as_json, lines=[_line(found)])
    raise click.exceptions.Exit(exit_codes.step_exit_code(found))


@step.command("result")
@click.argument("step_id", shell_complete=values.step)
@values.repository_option
@options.json_option
@options.with_daemon()
def step_result(client: DaemonClient, *, step_id: str, repository: str | None, as_json: bool) -> None:
    """Show what a step came to: verdict, changed files, checks, evidence, and what to do next."""
    parameters = _parameters(client, repository, step_id)
    result = client.call("steps.result", specs.ResultSpec, parameters=parameters)
    progress.result_show(client, parameters, result, as_json=as_json)


@step.command("patch")
@click.argument("step_id", shell_complete=values.step)
@values.repository_option
@options.json_option
@options.with_daemon()
def step_patch(client: DaemonClient, *, step_id: str, repository: str | None, as_json: bool) -> None:
    """Print the patch a step came to, as `git apply` takes it."""
    parameters = _parameters(client, repository, step_id)
    patch = client.call("steps.result", specs.ResultSpec, parameters=parameters).patch
    if patch is None:
        raise errors.NotFound(f"{step_id} has changed nothing so far.")
    repository_id = parameters["repository_id"]
    if as_json:
        options.show(downloads.content_document(client, repository_id, patch), as_json=True, lines=())
    else:
        downloads.content_print(client, repository_id, patch)


@step.command("log")
@click.argument("step_id", shell_complete=values.step)
@click.option("--stderr", "stream", flag_value="stderr", help="What it complained (default: what it said).")
@click.option("--stdout", "stream", flag_value="stdout", default="stdout", hidden=True)
@click.option("--follow", is_flag=True, help="Stay, and print what comes, until the step has settled.")
@click.option(
    "--attempt",
    "number",
    type=click.IntRange(1),
    metavar="N",
    help="Of this attempt, by its number in `ropeway step attempts` (default: the newest).",
)
@values.repository_option
@options.json_option
@options.with_daemon()
def step_log(
    client: DaemonClient,
    *,
    step_id: str,
    stream: str,
    follow: bool,
    number: int | None,
    repository: str | None,
    as_json: bool,
) -> None:
    """Print the output of a step's newest attempt, or of an earlier one."""
    if follow and (as_json or number is not None):
        raise click.UsageError(f"--follow goes without {'--json' if as_json else '--attempt'}.")
    parameters = _parameters(client, repository, step_id)
    if follow:
        pieces = client.log_follow(parameters, stream=stream)
    else:
        of = {} if number is None else {"attempt_id": _attempt_id(client, parameters, number)}
        pieces = _chunks(client, parameters, query={"stream": stream, **of})
    if as_json:
        chunks = list(pieces)
        whole = {"offset": 0, "text": "".join(chunk.text for chunk in chunks)}
        options.show({**chunks[-1].model_dump(mode="json"), **whole}, as_json=True, lines=())
        return
    for piece in pieces:
        click.echo(piece.text, nl=False)


def _attempt_id(client: DaemonClient, parameters: dict[str, str], number: int) -> str:
    """The id of the step's attempt of that number. Raises NotFound."""
    query: dict[str, str | int] = {"limit": limits.PAGE_ITEMS_MAX}
    while True:
        page = client.call("attempts.list", messages.AttemptPage, parameters=parameters, query=query)
        for attempt in page.items:
            if attempt.number == number:
                return attempt.attempt_id
        if page.next_cursor is None:
            raise errors.NotFound(f"There is no attempt {number} of this step; `ropeway step attempts` lists them.")
        query["cursor"] = page.next_cursor


def _chunks(
    client: DaemonClient, parameters: dict[str, str], *, query: Mapping[str, str]
) -> Iterator[messages.LogChunk]:
    """All that there is by now."""
    offset = 0
    while True:
        chunk = client.call("steps.log", messages.LogChunk, parameters=parameters, query={**query, "offset": offset})
        yield chunk
        if chunk.is_complete or chunk.next_offset == offset:
            return
        offset = chunk.next_offset


@step.command("cancel")
@click.argument("step_id", shell_complete=values.step)
@click.option("--reason", default="", help="Kept on the record.")
@values.repository_option
@options.json_option
@options.with_daemon()
def step_cancel(client: DaemonClient, *, step_id: str, reason: str, repository: str | None, as_json: bool) -> None:
    """Ask a step to end; what it has changed is kept."""
    parameters = _parameters(client, repository, step_id)
    body = options.message_checked(messages.CancelRequest, {"reason": reason})
    answer = client.call("steps.cancel", messages.StepAnswer, parameters=parameters, body=body)
    options.show(answer.step, as_json=as_json, lines=[_asked_to_end(answer.step)])


@step.command("retry")
@click.argument("step_id", shell_complete=values.step)
@values.repository_option
@options.json_option
@options.with_daemon()
def step_retry(client: DaemonClient, *, step_id: str, repository: str | None, as_json: bool) -> None:
    """Queue another attempt of a step that did not succeed."""
    parameters = _parameters(client, repository, step_id)
    answer = client.call("steps.retry", messages.StepAnswer, parameters=parameters, body=messages.Empty())
    options.show(answer.step, as_json=as_json, lines=[_line(answer.step)])


@step.command("resolve")
@click.argument("step_id", shell_complete=values.step)
@click.argument("resolution", type=click.Choice(["failed", "retry", "accept"]))
@click.option("--comment", default="", help="Kept on the record.")
@values.repository_option
@options.json_option
@options.with_daemon()
def step_resolve(
    client: DaemonClient, *, step_id: str, resolution: str, comment: str, repository: str | None, as_json: bool
) -> None:
    """Say what a step that needs attention came to, after you have looked at it.

    A repository in which nothing starts because of the step is let go: put right first what the step says of it."""
    parameters = _parameters(client, repository, step_id)
    body = options.message_checked(messages.StepResolve, {"resolution": resolution, "comment": comment})
    answer = client.call("steps.resolve", messages.StepAnswer, parameters=parameters, body=body)
    options.show(answer.step, as_json=as_json, lines=[_line(answer.step)])


for beside in (
    step_record.step_task,
    step_record.step_attempts,
    step_record.step_checks,
    step_record.step_applications,
    person.step_folder,
    person.step_done,
):
    step.add_command(beside)


def _parameters(client: DaemonClient, repository: str | None, step_id: str) -> dict[str, str]:
    return naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)


def _asked_to_end(view: messages.StepView) -> str:
    """Nothing at work has ended yet when its end is asked for: its processes are ended first."""
    if view.state in states.STEP_SETTLED:
        return _line(view)
    return (
        f"{view.step_id} was asked to end: its processes are being ended, what it has changed is kept. "
        f"See what becomes of it with: ropeway step wait {view.step_id}"
    )


def _line(view: messages.StepView) -> str:
    failure = f": {view.failure.kind}: {view.failure.detail}" if view.failure else ""
    gate = f" on {view.gate_id}" if view.gate_id else ""
    return f"{view.step_id} is {view.state}{gate}{failure}"
