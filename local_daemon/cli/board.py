"""What `ropeway watch` knows and how it looks: a run, its steps, the open gates and the last of the output.

`Board` takes events as they come and `board_render` draws it to fit a size. Neither reads a key, a socket or a clock,
so both are tried without a terminal. Called by `watch`. Tests: tests/unit/daemon/cli/test_board.py.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local_daemon.cli.output import Tail
from local_daemon.client import answers
from local_daemon.protocol import events, messages, states, terminals

_HEADING_ROWS = 2
_FEWEST_STEPS = 1
_FEWEST_OUTPUT_ROWS = 2
_FRAME_ROWS = 2
_FRAME_COLUMNS = 4
_NOTICE_ROWS = 3
_ROWS_BESIDES_NOTICE = 9
_ALL_COLUMNS_WITHIN = 80
_FEW_COLUMNS_WITHIN = 60
_STYLES = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "needs_attention": "bold red",
    "waiting": "bold yellow",
    "running": "cyan",
    "collecting": "cyan",
    "validating": "cyan",
    "preparing": "cyan",
}
_MARKS = {"completed": "✓", "failed": "✗", "cancelled": "–", "needs_attention": "!", "waiting": "?", "queued": "·"}
_AT_WORK = "▸"


@dataclass(slots=True, kw_only=True)
class Board:
    """Everything on show. `prompt` is what is being asked or typed, `notice` the last thing that went wrong or well."""

    run: messages.RunView | None = None
    steps: dict[str, messages.StepView] = field(default_factory=dict)
    attempts: dict[str, messages.AttemptView] = field(default_factory=dict)
    checks: dict[str, list[str]] = field(default_factory=dict)
    gates: dict[str, messages.GateView] = field(default_factory=dict)
    gate_lines: dict[str, list[str]] = field(default_factory=dict)
    logs: dict[str, Tail] = field(default_factory=dict)
    log_of: str = ""
    chosen: int = 0
    prompt: str = ""
    notice: str = ""

    @property
    def gate(self) -> messages.GateView | None:
        """The gate that a key decides on."""
        waiting = list(self.gates.values())
        return waiting[min(self.chosen, len(waiting) - 1)] if waiting else None

    @property
    def steps_left_out(self) -> int:
        """How many steps of the run are not among those it knows."""
        total = 0 if self.run is None else sum(self.run.step_counts.values())
        return max(0, total - len(self.steps))

    @property
    def is_at_work(self) -> bool:
        """Whether a clock on show is running."""
        return any(step.state not in states.STEP_SETTLED for step in self.steps.values())

    def event_apply(self, record: events.EventRecord) -> None:
        """Take on what an event says, if it is of the run on show. Raises ProtocolMismatch."""
        if self.run is None or record.run_id != self.run.run_id:
            return
        match record.type:
            case events.EventType.RUN_CHANGED:
                self.run = answers.view_read(messages.RunView, record, "run")
            case events.EventType.STEP_CREATED | events.EventType.STEP_CHANGED:
                self.step_take(answers.view_read(messages.StepView, record, "step"))
            case events.EventType.ATTEMPT_CHANGED:
                attempt = answers.view_read(messages.AttemptView, record, "attempt")
                self.attempts[attempt.step_id] = attempt
                if attempt.state is states.AttemptState.LEASED:
                    self.log_begin(attempt.step_id)
            case events.EventType.VALIDATION_RECORDED:
                check = record.data["validation"]
                self.checks.setdefault(check["step_id"], []).append(f"{check['name']} {check['verdict']}")
            case events.EventType.GATE_OPENED | events.EventType.GATE_DECIDED:
                self.gate_take(answers.view_read(messages.GateView, record, "gate"))

    def step_take(self, step: messages.StepView) -> None:
        """Show the step as it is now."""
        self.steps[step.step_id] = step

    def gate_take(self, gate: messages.GateView) -> None:
        """Show the gate while it is open."""
        if gate.state is states.GateState.OPEN:
            self.gates[gate.gate_id] = gate
        else:
            self.gates.pop(gate.gate_id, None)
            self.gate_lines.pop(gate.gate_id, None)

    def log_take(self, text: str, *, step_id: str) -> None:
        """More output of a step. It is shown unless another one's is that still works."""
        self.logs.setdefault(step_id, Tail()).take(text)
        shown = self.steps.get(self.log_of)
        if shown is None or shown.state in states.STEP_SETTLED:
            self.log_of = step_id

    def log_begin(self, step_id: str) -> None:
        """A new attempt of the step: nothing of the one before counts any more."""
        self.logs.pop(step_id, None)

    def log_next(self) -> None:
        """Show the output of the next step that has said something."""
        said = [step_id for step_id in self.steps if self.logs.get(step_id)]
        if said:
            self.log_of = said[(said.index(self.log_of) + 1) % len(said) if self.log_of in said else 0]

    @property
    def log(self) -> Tail:
        """The output on show."""
        return self.logs.get(self.log_of, Tail())


def board_render(board: Board, *, width: int, height: int, now: datetime) -> RenderableType:
    """The board, as large as it may be: how to go on first, then the gate, then steps, and output in what is left."""
    if board.run is None:
        return Text("Waiting for a run in this repository…  q quits", style="dim")
    footer = _footer(board, width=width, height=height)
    left = height - len(footer) - _HEADING_ROWS
    gate = _gate_rows(board, width=width - _FRAME_COLUMNS, limit=left - _FEWEST_STEPS - _FRAME_ROWS)
    # A frame around the gate, a heading over the steps, and the line that counts those not shown.
    room = max(_FEWEST_STEPS, left - (len(gate) + _FRAME_ROWS if gate else 0))
    steps = list(board.steps.values())
    limit = max(_FEWEST_STEPS, room // 2) if board.log else room
    has_rest = len(steps) > limit or board.steps_left_out > 0
    shown = _most_telling(steps, limit=max(1, limit - 1) if has_rest else limit)
    hidden = len(steps) - len(shown) + board.steps_left_out if room > 1 else 0
    parts: list[RenderableType] = [_heading(board, now), _steps_table(board, shown, hidden, now, width=width)]
    if gate:
        parts.append(Panel(Group(*gate), title="a decision is asked for", border_style="yellow", box=box.ROUNDED))
    parts.extend(_log_rows(board, room - len(shown) - (1 if hidden else 0)))
    return Group(*parts, *footer)


def _log_rows(board: Board, limit: int) -> list[Text]:
    """The last of the output, under a line that says whose it is."""
    if not board.log or limit < _FEWEST_OUTPUT_ROWS:
        return []
    of = board.steps.get(board.log_of)
    more = "  (o the next)" if sum(map(bool, board.logs.values())) > 1 else ""
    title = "" if of is None else _called(board, of)
    heading = Text(f"output of {title}{more}", style="dim", no_wrap=True, overflow="ellipsis")
    return [heading, *(Text(line, no_wrap=True, overflow="ellipsis") for line in board.log.last(limit - 1))]


def _called(board: Board, step: messages.StepView) -> str:
    """By its name, which tells it from the others; a step that is alone by its title, which says more."""
    is_alone = len(board.steps) == 1 and not board.steps_left_out
    return terminals.plain(step.title if is_alone else step.name or step.title)


def _heading(board: Board, now: datetime) -> Text:
    assert board.run is not None
    run = board.run
    title = terminals.plain(run.title or run.name or run.objective.partition("\n")[0])
    lasted = (now if board.is_at_work else run.updated_at) - run.created_at
    return Text.assemble(
        (title[:80], "bold"),
        "  ",
        (run.state, _STYLES.get(run.state, "")),
        (f"  {_duration(lasted)}  {run.run_id}", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _most_telling(steps: list[messages.StepView], *, limit: int) -> list[messages.StepView]:
    """As many steps as there is room for: those that wait or work, then the newest, in their order."""
    ranked = sorted(steps, key=lambda step: (_rank(step), step.step_id), reverse=True)[:limit]
    return sorted(ranked, key=lambda step: step.step_id)


def _rank(step: messages.StepView) -> int:
    if step.state in (states.StepState.WAITING, states.StepState.NEEDS_ATTENTION):
        return 3
    return 1 if step.state in states.STEP_SETTLED or step.state is states.StepState.QUEUED else 2


def _steps_table(board: Board, shown: Iterable[messages.StepView], hidden: int, now: datetime, *, width: int) -> Table:
    """Where it is narrow, fewer columns: what a step is and how it stands are always there."""
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("", width=1)
    table.add_column("step", ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column("state", width=15, no_wrap=True)
    if width >= _FEW_COLUMNS_WITHIN:
        table.add_column("executor", width=14, no_wrap=True, overflow="ellipsis")
        table.add_column("time", width=8, justify="right")
    if width >= _ALL_COLUMNS_WITHIN:
        table.add_column("try", width=3, justify="right")
        table.add_column("", ratio=3, no_wrap=True, overflow="ellipsis")
    for step in shown:
        style = _STYLES.get(step.state, "dim")
        cells = (
            Text(_MARKS.get(step.state, _AT_WORK), style=style),
            Text(_called(board, step)),
            Text(step.state.replace("_", " "), style=style),
            Text(step.executor),
            _duration((step.ended_at or now) - step.created_at),
            str(step.attempts or ""),
            Text(terminals.plain(_remark(board, step)), style="red" if step.failure else "dim"),
        )
        table.add_row(*cells[: len(table.columns)])
    if hidden:
        table.add_row("", Text(f"and {hidden} more", style="dim"))
    return table


def _remark(board: Board, step: messages.StepView) -> str:
    if step.failure is not None:
        return f"{step.failure.kind}: {step.failure.detail}"
    return ", ".join(board.checks.get(step.step_id, ())) or step.summary


def _gate_rows(board: Board, *, width: int, limit: int) -> list[Text]:
    """What is asked, what it is about, and how it is answered, in at most `limit` rows: the answer, being typed, is
    left out last, and what it is about first."""
    gate = board.gate
    if gate is None:
        return []
    count = f"  ({list(board.gates).index(gate.gate_id) + 1} of {len(board.gates)}, tab for the next)"
    reason = _wrapped(terminals.plain(gate.reason) + (count if len(board.gates) > 1 else ""), width=width, style="bold")
    about = [
        Text(terminals.plain(line), no_wrap=True, overflow="ellipsis")
        for line in board.gate_lines.get(gate.gate_id, ())
    ]
    choices = "e answer" if gate.kind is states.GateKind.QUESTION else "a approve exactly this   r reject"
    answer = _wrapped(terminals.plain(board.prompt) or choices, width=width, style="bold yellow")
    answer = answer[-max(1, limit - 1) :]
    room = max(0, limit - len(answer) - 1)
    reason = reason[: 1 + room]
    room = max(0, limit - len(answer) - len(reason))
    if len(about) > room:
        left_out = len(about) - max(0, room - 1)
        more = f"… {left_out} more: ropeway gate show {gate.gate_id}"
        about = [*about[: room - 1], Text(more, style="dim", no_wrap=True, overflow="ellipsis")] if room else []
    return [*reason, *about, *answer]


def _footer(board: Board, *, width: int, height: int) -> list[Text]:
    """What went wrong or well last, as far as there is room, and the way out."""
    notice = _wrapped(terminals.plain(board.notice), width=width, style="yellow") if board.notice else []
    return [*notice[: max(1, min(_NOTICE_ROWS, height - _ROWS_BESIDES_NOTICE))], Text("q quit", style="dim")]


def _wrapped(text: str, *, width: int, style: str) -> list[Text]:
    """The text in rows of that width."""
    return list(Text(text, style=style).wrap(Console(file=io.StringIO(), width=width), width))


def _duration(lasted: timedelta) -> str:
    seconds = max(0, int(lasted.total_seconds()))
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 60}:{seconds % 60:02}"
