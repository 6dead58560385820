"""Waiting for a step, telling what happens meanwhile, and what it came to, as a person reads it.

Follows the repository's events, so it tells what happens when it happens. Called by `submit`, `step wait`
and `step result`. Tests: tests/unit/daemon/cli/test_progress.py, tests/integration/daemon/test_cli.py.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from local_daemon.cli import narration, options, output
from local_daemon.client import answers
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import events, limits, messages, specs, states

_TAIL_LINES = 8


def step_follow(
    client: DaemonClient, step: messages.StepView, *, timeout_s: float | None, is_quiet: bool
) -> messages.StepView:
    """Wait until nothing more happens to the step without a decision, at most `timeout_s`; say what does meanwhile."""
    if is_quiet or step.state in states.STEP_SETTLED:
        return _settle(client, step, timeout_s=timeout_s)
    place = {"repository_id": step.repository_id, "step_id": step.step_id}
    # Asked before the step is read: what happens in between is read twice rather than missed.
    after_seq = head_seq(client, place)
    said = narration.STREAMS if step.attempts else ()
    offsets = {stream: log_tail_offset(client, place, stream=stream) for stream in said}
    step = client.call("steps.get", messages.StepView, parameters=place)
    with narration.narrating(client, step, offsets=offsets) as narrator:
        if step.state in states.STEP_SETTLED:
            narrator.output_await()
            narrator.say(str(step.state))
            return step
        for record in client.events_follow(step.repository_id, after_seq=after_seq, timeout_s=timeout_s):
            if record.step_id != step.step_id:
                continue
            if record.type == events.EventType.STEP_CHANGED:
                changed = answers.view_read(messages.StepView, record, "step")
                if is_told(changed, before=step):
                    continue
                step = changed
            is_settled = step.state in states.STEP_SETTLED
            if is_settled:
                narrator.output_await()  # What it came to is the last that is told.
            if line := event_line(record):
                narrator.say(line)
            if is_settled:
                break
    return client.call("steps.get", messages.StepView, parameters=place)


def head_seq(client: DaemonClient, place: dict[str, str]) -> int:
    """Where the repository's log of events stands now."""
    query = {"after_seq": limits.SEQ_MAX, "limit": 1}
    return client.call("events.list", messages.EventPage, parameters=place, query=query).head_seq


def is_told(changed: messages.StepView, *, before: messages.StepView) -> bool:
    """Whether this change is what was read of the step, or came before that; how a step settled is always told."""
    if changed.state in states.STEP_SETTLED:
        return False
    return changed.updated_at < before.updated_at or (changed.state, changed.updated_at) == (
        before.state,
        before.updated_at,
    )


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
            gate = record.data["gate"]
            return gate_line(gate["reason"], gate["gate_id"])
    return None


def gate_line(reason: str, gate_id: str) -> str:
    """Why work waits, and where that is decided."""
    return f"gate: {reason}; see `ropeway gate show {gate_id}`"


def result_show(client: DaemonClient, place: dict[str, str], result: specs.ResultSpec, *, as_json: bool) -> None:
    """Print the result of the step at this place; of a failed one also what its executor said last."""
    said = () if as_json else _last_words(client, place, result)
    options.show(result, as_json=as_json, lines=result_lines(result, said=said))


def result_lines(result: specs.ResultSpec, *, said: Iterable[str] = ()) -> Iterator[str]:
    """The result as a person reads it: what it came to, what its executor `said` last, and what may be done with it
    now."""
    yield f"{result.step_id} is {result.state}" + (f": {result.summary}" if result.summary else "")
    if result.failure is not None:
        yield f"  {result.failure.kind}: {result.failure.detail}".replace("\n", "\n    ")
    if result.base_commit is not None and result.uncommitted is not None and result.uncommitted.total:
        left = result.uncommitted.total
        unseen = "1 uncommitted change of yours was" if left == 1 else f"{left} uncommitted changes of yours were"
        yield f"  worked from {result.base_commit[:12]}; {unseen} not seen"
    yield from (f"  warning: {warning}" for warning in result.warnings)
    yield from (change_line(change) for change in result.changes)
    if result.changes_total > len(result.changes):
        more = result.changes_total - len(result.changes)
        yield f"  and {more} more file{'' if more == 1 else 's'}"
    yield from (f"  check {check.name}: {check.verdict}" for check in result.validations)
    if result.question is not None:
        yield f"  asks: {result.question}"
    if result.gate_id is not None:
        yield f"  waits on {result.gate_id}: ropeway gate show {result.gate_id}"
    if result.ref is not None and result.changes:
        yield f"  kept at {result.ref}"
    yield from said
    yield from _next_lines(result)


def log_tail(client: DaemonClient, place: dict[str, str], *, lines: int = _TAIL_LINES) -> list[str]:
    """The last lines of the output of the newest attempt of the step there: what it complained, else what it said."""
    for stream in reversed(narration.STREAMS):
        offset = log_tail_offset(client, place, stream=stream)
        query = {"stream": stream, "offset": offset, "length": narration.TAIL_BYTES}
        chunk = client.call("steps.log", messages.LogChunk, parameters=place, query=query)
        if chunk.text.strip():
            return [output.readable(line) for line in chunk.text.rstrip().splitlines()[-lines:]]
    return []


def log_tail_offset(client: DaemonClient, parameters: dict[str, str], *, stream: str = "stdout") -> int:
    """Where the last part of the newest attempt's output begins, as far as it goes now."""
    query = {"stream": stream, "length": 1}
    size = client.call("steps.log", messages.LogChunk, parameters=parameters, query=query).size_bytes
    return max(0, size - narration.TAIL_BYTES)


def change_line(change: specs.ChangedFile) -> str:
    """One changed file: its letter, its path, and how many lines came and went."""
    counts = "binary" if change.additions is None else f"+{change.additions} -{change.deletions}"
    origin = f"{change.old_path} -> " if change.old_path else ""
    return f"  {change.status} {origin}{change.path}  {counts}"


def _last_words(client: DaemonClient, place: dict[str, str], result: specs.ResultSpec) -> list[str]:
    if result.state is not states.StepState.FAILED or result.attempt_id is None:
        return []
    said = [f"  | {line}" for line in log_tail(client, place)]
    return [*said, f"  all of it:    ropeway step log {result.step_id}"] if said else []


def _next_lines(result: specs.ResultSpec) -> Iterator[str]:
    """Read it, take it over, check it."""
    if result.ref is not None and result.changes:
        yield f"  read it:      ropeway step patch {result.step_id}"
        if result.state is states.StepState.COMPLETED:
            yield f"  take it over: ropeway apply {result.step_id}"
    if result.evidence is not None:
        yield f"  evidence:     {result.evidence.digest[:16]}, signed; `ropeway verify` checks it"


def _settle(client: DaemonClient, step: messages.StepView, *, timeout_s: float | None) -> messages.StepView:
    parameters = {"repository_id": step.repository_id, "step_id": step.step_id}
    ends_at = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = limits.WAIT_S_MAX if ends_at is None else max(0.0, ends_at - time.monotonic())
        query = {"timeout_s": min(left, limits.WAIT_S_MAX)}
        answer = client.call("steps.wait", messages.StepWait, parameters=parameters, query=query)
        if not answer.timed_out or (left <= limits.WAIT_S_MAX and ends_at is not None):
            return answer.step
