"""`ropeway gate …`: decisions that work waits for. An approval names exactly what was shown.

Tests: tests/integration/daemon/test_cli.py.
"""

import sys
from collections.abc import Iterator
from typing import Any

import click

from local_daemon.cli import naming, options, progress, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import ids, messages, specs, states, terminals


@click.group()
def gate() -> None:
    """Decisions that work waits for. For a step that needs attention see `ropeway step resolve`."""


@gate.command("list")
@click.option("--all", "is_all", is_flag=True, help="Decided ones too.")
@options.page_options()
@values.repository_option
@options.json_option
@options.with_daemon()
def gate_list(
    client: DaemonClient, *, is_all: bool, limit: int, cursor: str | None, repository: str | None, as_json: bool
) -> None:
    """List the gates that are open, newest first."""
    place = {"repository_id": options.repository_choose(client, repository)}
    wanted = None if is_all else states.GateState.OPEN.value
    query = options.page_query(limit=limit, cursor=cursor, state=wanted)
    page = client.call("gates.list", messages.GatePage, parameters=place, query=query)
    lines = (f"{item.gate_id}  {item.state}  {item.kind}  {item.reason}" for item in page.items)
    none = "No gate yet." if is_all else "No gate is open."
    options.show(page, as_json=as_json, lines=options.page_lines(lines, next_cursor=page.next_cursor, none=none))


@gate.command("show")
@click.argument("gate_id", shell_complete=values.gate)
@values.repository_option
@options.json_option
@options.with_daemon()
def gate_show(client: DaemonClient, *, gate_id: str, repository: str | None, as_json: bool) -> None:
    """Show a gate, what it is about, and the digest an approval names."""
    parameters = _parameters(client, repository, gate_id)
    found = client.call("gates.get", messages.GateView, parameters=parameters)
    lines = [] if as_json else [*gate_lines(client, parameters["repository_id"], found), *_decision_lines(found)]
    options.show(found, as_json=as_json, lines=lines)


@gate.command("approve")
@click.argument("gate_id", shell_complete=values.gate)
@click.option("--digest", help="Approve only if this is still what waits; without it, you are shown and asked.")
@click.option("--comment", default="", help="Kept on the record.")
@values.repository_option
@options.json_option
@options.with_daemon()
def gate_approve(
    client: DaemonClient, *, gate_id: str, digest: str | None, repository: str | None, comment: str, as_json: bool
) -> None:
    """Let the work go on with exactly what the digest names."""
    parameters = _parameters(client, repository, gate_id)
    if digest is None:
        digest = _digest_confirm(client, parameters)
    _decide(client, parameters, as_json, decision=states.GateDecision.APPROVE, digest=digest, comment=comment)


@gate.command("reject")
@click.argument("gate_id", shell_complete=values.gate)
@click.option("--comment", default="", help="Kept on the record.")
@values.repository_option
@options.json_option
@options.with_daemon()
def gate_reject(client: DaemonClient, *, gate_id: str, repository: str | None, comment: str, as_json: bool) -> None:
    """Stop here; the step fails as rejected, and what it has changed is kept."""
    parameters = _parameters(client, repository, gate_id)
    _decide(client, parameters, as_json, decision=states.GateDecision.REJECT, comment=comment)


@gate.command("answer")
@click.argument("gate_id", shell_complete=values.gate)
@click.argument("text")
@values.repository_option
@options.json_option
@options.with_daemon()
def gate_answer(client: DaemonClient, *, gate_id: str, text: str, repository: str | None, as_json: bool) -> None:
    """Answer an executor's question."""
    parameters = _parameters(client, repository, gate_id)
    _decide(client, parameters, as_json, decision=states.GateDecision.ANSWER, answer=text)


def _parameters(client: DaemonClient, repository: str | None, gate_id: str) -> dict[str, str]:
    return naming.place_find(client, repository, ids.IdPrefix.GATE, gate_id)


def _decide(client: DaemonClient, parameters: dict[str, str], as_json: bool, **decision: Any) -> None:
    body = options.message_checked(messages.GateDecide, decision)
    answer = client.call("gates.decide", messages.GateAnswer, parameters=parameters, body=body)
    line = f"{answer.gate.gate_id} is {answer.gate.state}; {answer.step.step_id} is {answer.step.state}"
    options.show(answer, as_json=as_json, lines=[line])


def _digest_confirm(client: DaemonClient, parameters: dict[str, str]) -> str:
    """The digest of what was just shown, once the operator agreed to it."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked: name what you approve with --digest.")
    found = client.call("gates.get", messages.GateView, parameters=parameters)
    about = gate_lines(client, parameters["repository_id"], found)
    options.tell((terminals.spelled(line) for line in about), err=True)
    click.confirm("Approve exactly this?", abort=True, err=True)
    return found.digest


def _decision_lines(view: messages.GateView) -> Iterator[str]:
    """How it is decided, while it may be."""
    if view.state is not states.GateState.OPEN:
        return
    if view.kind is states.GateKind.QUESTION:
        yield f'  answer it with: ropeway gate answer {view.gate_id} "…"'
    else:
        yield f"  decide it with: ropeway gate approve {view.gate_id}, or reject"


def gate_lines(client: DaemonClient, repository_id: str, view: messages.GateView) -> Iterator[str]:
    """What a gate is about, as a person reads it before deciding."""
    yield f"{view.gate_id} is {view.state}: {view.reason}"
    if view.question is not None:
        yield f"  asks: {view.question}"
    parameters = {"repository_id": repository_id, "step_id": view.step_id}
    if view.kind is states.GateKind.AFTER:
        result = client.call("steps.result", specs.ResultSpec, parameters=parameters)
        yield from (progress.change_line(change) for change in result.changes)
        yield from (f"  check {check.name}: {check.verdict}" for check in result.validations)
        yield f"  read it with: ropeway step patch {view.step_id}"
    if view.kind is states.GateKind.BEFORE:
        task = client.call("steps.task", messages.TaskView, parameters=parameters).task
        yield f"  {task.executor} is to: {task.goal}"
    yield f"  digest {view.digest}"
    yield f"  expires {view.expires_at:%Y-%m-%d %H:%M} UTC"
