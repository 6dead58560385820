"""`ropeway step task`, `attempts`, `checks` and `applications`: what is on record of a step beside its result.

Registered in `steps`. Tests: tests/integration/daemon/test_cli_record.py.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any

import click

from local_daemon.cli import naming, options, output, values
from local_daemon.client import http
from local_daemon.client.http import DaemonClient
from local_daemon.config import home as homes
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import errors, ids, messages, origins, specs, states, terminals
from local_daemon.steps import selectors as steps
from local_daemon.steps import submissions
from local_daemon.storage import database

_Place = Mapping[str, str]
_Query = Mapping[str, Any]
_Page = messages.AttemptPage | messages.ValidationPage | application_messages.ApplicationPage
_Asking = Callable[[DaemonClient, _Place, _Query], tuple[_Page, Iterator[str]]]
"""Asks for a page of a step's record: the page, and its lines for a person."""


@click.command("task")
@click.argument("step_id", shell_complete=values.step)
@values.repository_option
@click.option("--as-submitted", is_flag=True, help="Print what was handed in instead, to the letter.")
@options.json_option
@click.pass_obj
def step_task(home: homes.Home, /, *, step_id: str, repository: str | None, as_submitted: bool, as_json: bool) -> None:
    """Print the task of a step, as `ropeway submit --task` takes it.

    On a terminal it also says what the task was made of; --json has that too. What was handed in stays on this machine,
    where it is short enough to be kept."""
    import yaml  # The other commands of the group need none.

    if as_submitted and as_json:
        raise click.UsageError("--as-submitted prints a text: it goes without --json.")
    with http.connect_or_start(home, None) as client:
        place = naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)
        view = client.call("steps.task", messages.TaskView, parameters=place)
    told = _told(home, view.step_id)
    if as_submitted:
        _text_print(_handed_in(view, told))
        return
    found = _Task(**dict(view), provenance=None if told is None else told.model_copy(update={"text": None}))
    document = found.task.model_dump(mode="json", exclude_defaults=True)
    written = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    if as_json or sys.stdout.isatty():
        made_of = [f"# {line}" for line in _origin_lines(found.provenance)]
        options.show(found, as_json=as_json, lines=[*made_of, *written.splitlines()])
    else:
        click.echo(written, nl=False)  # Exactly: it may be submitted again.


class _Task(messages.TaskView):
    """As the daemon gives it to anybody, and what it was made of, which is for who sits at the machine."""

    provenance: origins.Provenance | None


def _told(home: homes.Home, step_id: str) -> origins.Provenance | None:
    """What the step was made of, from the record: no operation gives it away."""
    with closing(database.reader_open(home.record)) as record:
        return submissions.submission_find(record, steps.step_load(record, step_id))


def _handed_in(view: messages.TaskView, told: origins.Provenance | None) -> str:
    """The text itself. Raises NotFound."""
    if told is None:
        raise errors.NotFound("Nothing is kept of what was handed in but the task.", step_id=view.step_id)
    in_task = {origins.Source.GOAL: view.task.goal, origins.Source.PATCH: view.task.patch}
    text = told.text or in_task.get(told.source)
    if text is None or not told.is_of(text):
        kept = f"it had {told.size_bytes} bytes, with the SHA-256 {told.sha256}"
        raise errors.NotFound(f"What was handed in is too long to be kept: {kept}.", step_id=view.step_id)
    return text


def _text_print(text: str) -> None:
    """To the letter; on a terminal what would steer it is spelled out."""
    if sys.stdout.isatty():
        click.echo(terminals.spelled(text.expandtabs()))
        return
    sys.stdout.buffer.write(text.encode("utf-8", errors="surrogatepass"))
    sys.stdout.buffer.flush()


def _origin_lines(told: origins.Provenance | None) -> Iterator[str]:
    if told is not None:
        named = "" if told.name is None else f" {told.name}"
        yield f"from a {told.source}{named} ({told.form}, {told.size_bytes} bytes, SHA-256 {told.sha256})"
        yield from (f"added: {default}" for default in told.defaults)


def _listing(name: str, *, none: str) -> Callable[[_Asking], click.Command]:
    """Makes a command of what asks for a page of a step's record; `none` is said where there is nothing."""

    def make(asking: _Asking) -> click.Command:
        @click.command(name, help=asking.__doc__)
        @click.argument("step_id", shell_complete=values.step)
        @options.page_options()
        @values.repository_option
        @options.json_option
        @options.with_daemon()
        def listing(
            client: DaemonClient, *, step_id: str, limit: int, cursor: str | None, repository: str | None, as_json: bool
        ) -> None:
            place = naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)
            page, lines = asking(client, place, options.page_query(limit=limit, cursor=cursor))
            shown = options.page_lines(lines, next_cursor=page.next_cursor, none=none)
            options.show(page, as_json=as_json, lines=shown)

        return listing

    return make


@_listing("attempts", none="No attempt yet.")
def step_attempts(client: DaemonClient, place: _Place, query: _Query) -> tuple[messages.AttemptPage, Iterator[str]]:
    """List every try of a step, oldest first: how it ended, and what it used."""
    page = client.call("attempts.list", messages.AttemptPage, parameters=place, query=query)
    return page, (line for item in page.items for line in _attempt_lines(item))


@_listing("checks", none="No check was made yet.")
def step_checks(client: DaemonClient, place: _Place, query: _Query) -> tuple[messages.ValidationPage, Iterator[str]]:
    """List the checks of a step, all attempts, oldest first; `ropeway artifact get` has their output."""
    page = client.call("validations.list", messages.ValidationPage, parameters=place, query=query)
    return page, (line for item in page.items for line in _check_lines(item))


@_listing("applications", none="It was never to be applied yet.")
def step_applications(
    client: DaemonClient, place: _Place, query: _Query
) -> tuple[application_messages.ApplicationPage, Iterator[str]]:
    """List every time that a step's result was to reach a branch, and what came of it."""
    page = client.call("applications.list", application_messages.ApplicationPage, parameters=place, query=query)
    return page, (_application_line(item) for item in page.items)


def _attempt_lines(view: messages.AttemptView) -> Iterator[str]:
    lasted = ""
    if view.started_at is not None and view.ended_at is not None:
        lasted = f"  {output.duration(view.ended_at - view.started_at)}"
    exited = "" if view.exit_code is None else f"  exit code {view.exit_code}"
    yield f"{view.number}  {view.attempt_id}  {view.executor}  {view.state}{exited}{lasted}{_used(view.usage)}"
    if view.failure is not None:
        yield f"     {view.failure.kind}: {view.failure.detail}"
    if view.ref is not None:
        yield f"     kept at {view.ref}"


def _used(usage: specs.Usage) -> str:
    model = "" if usage.model is None else f"  {usage.model}"
    tokens = "".join(
        f"  {count:,} tokens {way}"
        for count, way in ((usage.input_tokens, "in"), (usage.output_tokens, "out"))
        if count is not None
    )
    return model + tokens + ("" if usage.cost_usd is None else f"  ${usage.cost_usd:,.4f}")


def _check_lines(view: specs.ValidationView) -> Iterator[str]:
    exited = "" if view.exit_code is None else f", exit code {view.exit_code}"
    lasted = output.duration(timedelta(milliseconds=view.duration_ms))
    yield f"{view.name}: {view.verdict}{exited}, {lasted}: {view.command}"
    kept = [artifact_id for artifact_id in (view.stdout_artifact_id, view.stderr_artifact_id) if artifact_id]
    if kept:
        yield f"  {', '.join(kept)}"


def _application_line(view: application_messages.ApplicationView) -> str:
    # One that was refused reached nothing, though its commit had been made.
    is_there = view.after_commit is not None and view.state is not states.ApplicationState.REFUSED
    commit = f" at {str(view.after_commit)[:12]}" if is_there else ""
    reason = f": {view.reason}" if view.reason else ""
    return f"{view.requested_at:%Y-%m-%d %H:%M}  {view.mode} onto {view.branch}  {view.state}{commit}{reason}"
