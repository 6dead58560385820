"""`cloudctl gate`: decisions that work waits for, across projects, and taking one. An approval names what was shown.

A decision is a call to the machine: where it is away nothing can be decided. Tests:
tests/journeys/test_cloudctl.py.
"""

import sys
from typing import Any

import click

from cloud.cloudctl import acting, asking, doors, printing
from cloud.cloudctl.door import Door
from local_daemon.protocol import errors, messages, terminals, wire
from local_daemon.protocol.states import GateDecision, GateKind, GateState

_CHANGE = ("status", "path", "old_path", "additions", "deletions")
_GATE = ("gate_id", "state", "kind", "gate.reason", "project_id", "machine", "run_id", "expires_at", "as_of")
_comment_option = click.option("--comment", default="", help="Kept on the record.")


@click.group()
def gate() -> None:
    """Gates: decisions that work waits for."""


@gate.command(name="list")
@acting.organization_option
@click.option("--project", "project_name", help="Only those of this project.")
@click.option("--all", "with_decided", is_flag=True, help="Decided and expired ones, too.")
@acting.paged
@printing.output_option
def gate_list(
    *, organization: str | None, project_name: str | None, with_decided: bool, limit: int, cursor: str | None
) -> None:
    """What waits to be decided in the organization, newest first, as last heard of."""
    door = doors.door(organization)
    query = {
        **acting.target_named(door, None, project_name),
        **({} if with_decided else {"state": GateState.OPEN.value}),
    }
    printing.page_print(acting.page_ask(door, "/gates", limit=limit, cursor=cursor, query=query), *_GATE)


@gate.command(name="show")
@acting.organization_option
@click.argument("gate_id")
@printing.output_option
def gate_show(*, organization: str | None, gate_id: str) -> None:
    """A gate as its machine has it now, what it is about, and the digest that an approval names."""
    facts, parts = _shown(_machine(organization, gate_id), gate_id)
    printing.facts_print(facts, parts=parts)


@gate.command(name="patch")
@acting.organization_option
@click.argument("gate_id")
def gate_patch(*, organization: str | None, gate_id: str) -> None:
    """Print the patch that an approval would let pass; its SHA-256 is the gate's digest."""
    machine = _machine(organization, gate_id)
    found = machine.ask("gates.get", {"gate_id": gate_id})
    if found["kind"] != GateKind.AFTER:
        raise errors.InvalidTransition("Only a gate after the work has a patch; see `cloudctl gate show`.")
    patch = machine.ask("steps.result", {"step_id": found["step_id"]})["patch"]
    if patch is None:
        return
    raw = machine.content(patch["artifact_id"])
    if wire.sha256_hex(raw) != found["digest"]:
        raise errors.StaleApproval("The patch is not the one that this gate binds; look again.")
    # For a program byte for byte. A person's terminal is not steered by what stands in it, and hides none of it.
    click.echo(terminals.spelled(raw.decode(errors="replace").expandtabs()) if sys.stdout.isatty() else raw, nl=False)


@gate.command(name="approve")
@acting.organization_option
@click.argument("gate_id")
@click.option("--digest", help="Approve only if this is still what waits; without it, you are shown and asked.")
@_comment_option
@printing.output_option
def gate_approve(*, organization: str | None, gate_id: str, digest: str | None, comment: str) -> None:
    """Let the work go on with exactly what the digest names."""
    machine = _machine(organization, gate_id)
    _decide(machine.door, gate_id, GateDecision.APPROVE, digest=digest or _agreed(machine, gate_id), comment=comment)


@gate.command(name="reject")
@acting.organization_option
@click.argument("gate_id")
@_comment_option
@printing.output_option
def gate_reject(*, organization: str | None, gate_id: str, comment: str) -> None:
    """Stop here: the step fails as rejected, and what it has changed is kept."""
    _decide(doors.door(organization), gate_id, GateDecision.REJECT, comment=comment)


@gate.command(name="answer")
@acting.organization_option
@click.argument("gate_id")
@click.argument("text")
@printing.output_option
def gate_answer(*, organization: str | None, gate_id: str, text: str) -> None:
    """Answer an executor's question."""
    _decide(doors.door(organization), gate_id, GateDecision.ANSWER, answer=text)


def _decide(door: Door, gate_id: str, decision: GateDecision, **more: Any) -> None:
    body = asking.body_checked(messages.GateDecide, {"decision": decision.value, **more})
    answer = door.ask("POST", "/gates/{gate_id}/decide", {"gate_id": gate_id}, body=body)
    printing.facts_print({**answer["gate"], "step_state": answer["step"]["state"]})


def _agreed(machine: asking.Machine, gate_id: str) -> str:
    """The digest of what was just shown, once the person agreed to it."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked: name what you approve with --digest.")
    facts, parts = _shown(machine, gate_id)
    if facts["state"] != GateState.OPEN:
        raise errors.GateDecided
    for name, value in facts.items():
        if value is not None:
            click.echo(terminals.plain_lines(f"{name}: {value}").replace("\n", "\n  "), err=True)
    for row in parts.get("changes", []):
        change = terminals.spelled(f"{row['status']} {row['path']}").replace("\n", "\\n")
        click.echo(f"  {change}", err=True)
    click.confirm("Approve exactly this?", abort=True, err=True)
    return str(facts["digest"])


def _shown(machine: asking.Machine, gate_id: str) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The gate with what approving it would let pass."""
    found = machine.ask("gates.get", {"gate_id": gate_id})
    names = ("gate_id", "state", "kind", "reason", "question", "digest", "run_id", "step_id", "expires_at")
    facts = {name: found.get(name) for name in (*names, "decided_by", "comment")}
    step = {"step_id": found["step_id"]}
    if found["kind"] == GateKind.BEFORE:
        return {**facts, "task": machine.ask("steps.task", step)["task"]}, {}
    if found["kind"] == GateKind.AFTER:
        result = machine.ask("steps.result", step)
        checks = [{name: check[name] for name in ("name", "verdict")} for check in result["validations"]]
        changes = [{name: change.get(name) for name in _CHANGE} for change in result["changes"]]
        return facts, {"changes": changes, "checks": checks}
    return facts, {}


def _machine(organization: str | None, gate_id: str) -> asking.Machine:
    door = doors.door(organization)
    return asking.machine_of(door, door.ask("GET", "/gates/{gate_id}", {"gate_id": gate_id}))
