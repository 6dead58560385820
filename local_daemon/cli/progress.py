"""What the operator sees while a step works: one live line on a terminal, a line for each change elsewhere.

Follows the repository's events, so it shows what happens when it happens. Called by `submit` and `step wait`.
Tests: tests/unit/daemon/cli/test_progress.py, tests/integration/daemon/test_cli.py.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click

from local_daemon.cli import output
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, events, limits, messages, specs, states

Say = Callable[[str], None]
_TAIL_LINES = 8
_TAIL_BYTES = 16 * limits.KIB


def step_follow(
    client: DaemonClient, step: messages.StepView, *, timeout_s: float | None, is_quiet: bool
) -> messages.StepView:
    """Wait until nothing more happens to the step without a decision, at most `timeout_s`; say what does meanwhile."""
    if is_quiet:
        return _settle(client, step, timeout_s=timeout_s)
    place = {"repository_id": step.repository_id}
    # Asked before the step is read: what happens in between is read twice rather than missed.
    head = client.call("events.list", messages.EventPage, parameters=place, query={"after_seq": 2**53, "limit": 1})
    step = client.call("steps.get", messages.StepView, parameters={**place, "step_id": step.step_id})
    with _saying(client, step) as say:
        if step.state in states.STEP_SETTLED:
            return step
        for record in client.events_follow(step.repository_id, after_seq=head.head_seq, timeout_s=timeout_s):
            if record.step_id != step.step_id:
                continue
            line = event_line(record)
            if line is not None:
                say(line)
            if record.type == events.EventType.STEP_CHANGED:
                step = messages.StepView.model_validate(record.data["step"])
                if step.state in states.STEP_SETTLED:
                    break
    return client.call("steps.get", messages.StepView, parameters={**place, "step_id": step.step_id})


@contextmanager
def told_where_it_goes_on(step: messages.StepView) -> Iterator[None]:
    """Whoever stops waiting, or is left by the daemon, is told what becomes of the step."""
    read_on = f"ropeway step wait {step.step_id}"
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"You wait no longer; the step goes on. See it with: {read_on}", err=True)
        raise
    except DaemonUnreachable as error:
        raise DaemonUnreachable(
            f"The daemon stopped while {step.step_id} was waited for. The step is on its record: start it again with "
            f"`ropeway daemon`, then `{read_on}`."
        ) from error


def event_line(record: events.EventRecord) -> str | None:
    """What an event of a step means to who watches it; None for what other events say better."""
    match record.type:
        case events.EventType.STEP_CHANGED:
            step = record.data["step"]
            return str(step["state"]).replace("_", " ")
        case events.EventType.ATTEMPT_CHANGED:
            attempt = record.data["attempt"]
            is_new = attempt["state"] == states.AttemptState.LEASED
            return f"attempt {attempt['number']}: {attempt['executor']}" if is_new else None
        case events.EventType.VALIDATION_RECORDED:
            check = record.data["validation"]
            return f"check {check['name']}: {check['verdict']}"
        case events.EventType.GATE_OPENED:
            return f"gate: {record.data['gate']['reason']}"
    return None


def result_lines(result: specs.ResultSpec) -> Iterator[str]:
    """The result as a person reads it."""
    yield f"{result.step_id} is {result.state}" + (f": {result.summary}" if result.summary else "")
    if result.failure is not None:
        yield f"  {result.failure.kind}: {result.failure.detail}"
    if result.base_commit is not None and result.uncommitted is not None and result.uncommitted.total:
        left = result.uncommitted.total
        yield f"  worked from {result.base_commit[:12]}; {left} uncommitted changes of yours were not seen"
    yield from (f"  warning: {warning}" for warning in result.warnings)
    yield from (change_line(change) for change in result.changes)
    if result.changes_total > len(result.changes):
        yield f"  and {result.changes_total - len(result.changes)} more files"
    yield from (f"  check {check.name}: {check.verdict}" for check in result.validations)
    if result.question is not None:
        yield f"  asks: {result.question}"
    if result.gate_id is not None:
        yield f"  waits on {result.gate_id}: ropeway gate show {result.gate_id}"
    if result.ref is not None and result.changes:
        yield f"  kept at {result.ref}"


def next_lines(result: specs.ResultSpec) -> Iterator[str]:
    """What the operator may do with a result now: read it, take it over, check it."""
    if result.ref is not None and result.changes:
        yield f"  read it:      ropeway step patch {result.step_id}"
        if result.state is states.StepState.COMPLETED:
            yield f"  take it over: ropeway apply {result.step_id}"
    if result.evidence is not None:
        yield f"  evidence:     {result.evidence.digest[:16]}, signed; `ropeway verify` checks it"


def failure_tail(client: DaemonClient, step: messages.StepView) -> list[str]:
    """The last that the executor of a failed step said."""
    if step.state is not states.StepState.FAILED or not step.attempts:
        return []
    said = log_tail(client, step)
    return [f"  | {line}" for line in said] + ([f"  all of it:    ropeway step log {step.step_id}"] if said else [])


def log_tail(client: DaemonClient, step: messages.StepView, *, lines: int = _TAIL_LINES) -> list[str]:
    """The last lines of its newest attempt's output: what it complained, else what it said."""
    parameters = {"repository_id": step.repository_id, "step_id": step.step_id}
    for stream in ("stderr", "stdout"):
        offset = log_tail_offset(client, parameters, stream=stream)
        query = {"stream": stream, "offset": offset, "length": _TAIL_BYTES}
        chunk = client.call("steps.log", messages.LogChunk, parameters=parameters, query=query)
        if chunk.text.strip():
            return [output.readable(line) for line in chunk.text.rstrip().splitlines()[-lines:]]
    return []


def log_tail_offset(client: DaemonClient, parameters: dict[str, str], *, stream: str = "stdout") -> int:
    """Where the last part of the newest attempt's output begins, as far as it goes now."""
    query = {"stream": stream, "length": 1}
    size = client.call("steps.log", messages.LogChunk, parameters=parameters, query=query).size_bytes
    return max(0, size - _TAIL_BYTES)


def change_line(change: specs.ChangedFile) -> str:
    """One changed file: its letter, its path, and how many lines came and went."""
    counts = "binary" if change.additions is None else f"+{change.additions} -{change.deletions}"
    origin = f"{change.old_path} -> " if change.old_path else ""
    return f"  {change.status} {origin}{change.path}  {counts}"


def _settle(client: DaemonClient, step: messages.StepView, *, timeout_s: float | None) -> messages.StepView:
    parameters = {"repository_id": step.repository_id, "step_id": step.step_id}
    ends_at = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = limits.WAIT_S_MAX if ends_at is None else max(0.0, ends_at - time.monotonic())
        query = {"timeout_s": min(left, limits.WAIT_S_MAX)}
        answer = client.call("steps.wait", messages.StepWait, parameters=parameters, query=query)
        if not answer.timed_out or (left <= limits.WAIT_S_MAX and ends_at is not None):
            return answer.step


@contextmanager
def _saying(client: DaemonClient, step: messages.StepView) -> Iterator[Say]:
    """A way to say what happens now, on standard error: on a terminal lines above one that moves, under which stands
    what the executor said last; else only the lines."""
    if not sys.stderr.isatty():
        click.echo(f"{step.step_id}: {step.state}", err=True)
        yield lambda line: click.echo(f"{step.step_id}: {line}", err=True)
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    title = escape(step.title)
    with console.status(f"{title} [dim]{step.state}[/dim]") as live:
        began_at = time.monotonic()
        now = {"happens": str(step.state), "said": ""}

        def show(**changed: str) -> None:
            now.update(changed)
            said = f"\n  [dim]{escape(now['said'])}[/dim]" if now["said"] else ""
            live.update(f"{title} [dim]{escape(now['happens'])}[/dim]{said}")

        def say(line: str) -> None:
            console.print(f"[dim]{time.monotonic() - began_at:6.1f} s[/dim]  {escape(line)}")
            show(happens=line)

        def hear(line: str) -> None:
            show(said=line[: max(0, console.width - 4)])

        if step.state not in states.STEP_SETTLED:
            # Ends with the step, or with this process; nobody waits for it.
            threading.Thread(target=_output_hear, args=(client, step, hear), daemon=True).start()
        yield say


def _output_hear(client: DaemonClient, step: messages.StepView, hear: Say) -> None:
    """Pass on the last line of what the executor says, as it says it."""
    parameters = {"repository_id": step.repository_id, "step_id": step.step_id}
    tail = output.Tail()
    # What can't be followed is no output; that the daemon has stopped is told by the events.
    with suppress(DaemonUnreachable, errors.RopewayError, RuntimeError):
        for piece in client.log_follow(parameters):
            tail.take(piece.text)
            hear(next(iter(tail.last(1)), ""))
