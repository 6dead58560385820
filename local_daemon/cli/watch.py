"""`ropeway watch`: a run as it happens, with its gates decided in place.

One thread follows events, one reads keys, one follows the output; they only put what they found into a queue, and this
loop alone changes the board and draws. Without a terminal it is a line for each change. Tests:
tests/integration/daemon/test_watch.py.
"""

import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from local_daemon.cli import exit_codes, gates, keyboard, naming, options, progress, run_steps, values
from local_daemon.cli.board import Board, board_render
from local_daemon.client import answers, http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.protocol import errors, events, ids, limits, messages, states

_TICK_S = 1.0
_SVG_SIZE = (110, 30)
_OUTPUT_LINES = 200
_LOOKED_FOR_OUTPUT = 5
_RUN_ENDED = {
    states.RunState.COMPLETED: exit_codes.ExitCode.OK,
    states.RunState.FAILED: exit_codes.ExitCode.EXECUTOR_FAILED,
    states.RunState.CANCELLED: exit_codes.ExitCode.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key was pressed."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An attempt said something."""

    step_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """The terminal has another size."""


Happening = events.EventRecord | Key | Output | Resized | DaemonUnreachable | errors.RopewayError


@click.command()
@click.argument("run_id", required=False, shell_complete=values.run)
@values.repository_option
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write what is shown as a picture.")
@options.json_option
@click.pass_obj
def watch(home: homes.Home, /, *, run_id: str | None, repository: str | None, svg: Path | None, as_json: bool) -> None:
    """Watch a run as it happens, and decide its gates.

    Without RUN_ID it is the newest, and whichever begins next. Keys: a approve, r reject, e answer, tab the next gate,
    o the next output, q quit. Without a terminal, or with --json or --svg, nothing is asked."""
    with http.connect_or_start(home, None) as client:
        if run_id is None:
            place = {"repository_id": options.repository_choose(client, repository)}
        else:
            place = naming.place_find(client, repository, ids.IdPrefix.RUN, run_id)
        after_seq = progress.head_seq(client, place)
        watching = _Watching(home, client, place["repository_id"], place.get("run_id"))
        watching.load()
        if as_json or svg is not None:
            _show_once(watching, svg, as_json=as_json)
        elif sys.stdin.isatty() and sys.stdout.isatty():
            watching.live(after_seq=after_seq)
        else:
            raise click.exceptions.Exit(watching.lines(after_seq=after_seq))


class _Watching:
    """The board and what feeds it."""

    def __init__(self, home: homes.Home, client: http.DaemonClient, repository_id: str, run_id: str | None) -> None:
        self._home = home
        self._client = client
        self._repository_id = repository_id
        self._is_any_run = run_id is None
        self._run_id = run_id
        self._happened: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._ask: Callable[[str], None] | None = None
        self._question = self._typed = ""
        self._followed: set[str] = set()
        self.board = Board()

    def load(self) -> None:
        """Read the run as it stands."""
        place = {"repository_id": self._repository_id}
        if self._run_id is None:
            newest = self._client.call("runs.list", messages.RunPage, parameters=place, query={"limit": 1}).items
            if not newest:
                return
            self._run_id = newest[0].run_id
        found = {**place, "run_id": self._run_id}
        run = self._client.call("runs.get", messages.RunView, parameters=found)
        board = Board(run=run)
        for step in run_steps.run_steps(self._client, run).items:
            board.step_take(step)
        for gate in self._gates_open(run):
            board.gate_take(gate)
        self.board = board
        self._output_load()
        self._gate_describe()

    def _gates_open(self, run: messages.RunView) -> Iterator[messages.GateView]:
        """The run's open gates, newest first: among all of the repository, as far back as the run goes."""
        place = {"repository_id": self._repository_id}
        query: dict[str, str | int] = {"limit": limits.PAGE_ITEMS_MAX, "state": states.GateState.OPEN.value}
        while True:
            page = self._client.call("gates.list", messages.GatePage, parameters=place, query=query)
            yield from (gate for gate in page.items if gate.run_id == run.run_id)
            if page.next_cursor is None or page.items[-1].opened_at < run.created_at:
                return
            query["cursor"] = page.next_cursor

    def _outputs_follow(self) -> None:
        for step in self.board.steps.values():
            if step.attempts and step.state not in states.STEP_SETTLED:
                self.board.log_begin(step.step_id)  # It is read again, from a little before its end.
                self._output_follow(step.step_id)

    def _output_load(self) -> None:
        """The last output of the step that moved last, if it has said anything yet, else of the one before."""
        started = [step for step in self.board.steps.values() if step.attempts]
        for step in sorted(started, key=lambda step: step.updated_at, reverse=True)[:_LOOKED_FOR_OUTPUT]:
            place = {"repository_id": step.repository_id, "step_id": step.step_id}
            for line in progress.log_tail(self._client, place, lines=_OUTPUT_LINES):
                self.board.log_take(f"{line}\n", step_id=step.step_id)
            if self.board.log:
                return

    def live(self, *, after_seq: int) -> None:
        """Draw on the terminal until the operator has seen enough."""
        from rich.console import Console
        from rich.live import Live

        console = Console(highlight=False)
        signal.signal(signal.SIGWINCH, lambda *_: self._happened.put(Resized()))
        self._begin(self._follow_events, after_seq)
        self._begin(self._read_keys)
        self._outputs_follow()
        with keyboard.keys_single(), Live(console=console, screen=True, auto_refresh=False) as screen:
            while True:
                drawn = board_render(self.board, width=console.width, height=console.height, now=datetime.now(UTC))
                screen.update(drawn, refresh=True)
                for happening in self._next():
                    if isinstance(happening, Key) and not self._key_take(happening.text):
                        return
                    self._take(happening)

    def lines(self, *, after_seq: int) -> int:
        """A line for each change until the run has ended; the exit code its end has."""
        if self.board.run is None:
            click.echo("No run yet.")
            return exit_codes.ExitCode.OK
        for step in self.board.steps.values():
            click.echo(f"{step.step_id}: {step.state}")
        if self.board.steps_left_out:
            click.echo(f"and {self.board.steps_left_out} more: ropeway step list {self.board.run.run_id}")
        for gate in self.board.gates.values():
            options.tell([f"{gate.step_id}: {progress.gate_line(gate.reason, gate.gate_id)}"])
        following = self._client.events_follow(self._repository_id, after_seq=after_seq)
        while self.board.run.state not in _RUN_ENDED:
            record = next(following)
            self.board.event_apply(record)
            line = progress.event_line(record)
            if record.run_id == self._run_id and record.step_id is not None and line is not None:
                options.tell([f"{record.step_id}: {line}"])
        click.echo(f"{self.board.run.run_id} is {self.board.run.state}")
        return _RUN_ENDED[self.board.run.state]

    def _next(self) -> list[Happening]:
        """What has happened since it was last asked; waits for something, or for the clock on show to move."""
        try:
            found = [self._happened.get(timeout=_TICK_S if self.board.is_at_work else None)]
        except queue.Empty:
            return []
        with suppress(queue.Empty):
            while True:
                found.append(self._happened.get_nowait())
        return found

    def _take(self, happening: Happening) -> None:
        match happening:
            case events.EventRecord():
                self._event_take(happening)
            case Output():
                if happening.step_id in self.board.steps:
                    self.board.log_take(happening.text, step_id=happening.step_id)
            case DaemonUnreachable():
                self.board.notice = "The daemon stopped; what it did is on its record."
            case errors.RopewayError():
                raise happening  # What happens can't be followed.

    def _event_take(self, record: events.EventRecord) -> None:
        is_new_run = record.type == events.EventType.RUN_CREATED
        if is_new_run and (self.board.run is None or (self._is_any_run and not self.board.is_at_work)):
            self._run_id = record.run_id
            self.load()
            return
        self.board.event_apply(record)
        if record.run_id != self._run_id:
            return
        if record.type == events.EventType.ATTEMPT_CHANGED:
            attempt = answers.view_read(messages.AttemptView, record, "attempt")
            if attempt.state is states.AttemptState.LEASED:
                self._output_follow(attempt.step_id)
        self._gate_describe()

    def _gate_describe(self) -> None:
        """Read what the gate on show is about, once; of the others it is read when their turn comes."""
        gate = self.board.gate
        if gate is None or gate.gate_id in self.board.gate_lines:
            return
        try:
            found = list(gates.gate_lines(self._client, self._repository_id, gate))
        except (errors.RopewayError, DaemonUnreachable) as error:
            self.board.notice = errors.said(error)
        else:
            self.board.gate_lines[gate.gate_id] = found[1:]

    # -- keys

    def _key_take(self, key: str) -> bool:
        """Act on a key; False when it ends the watching."""
        if self._ask is not None:
            self._answer_type(key)
            return True
        gate = self.board.gate
        self.board.notice = ""
        if key == "q":
            return False
        if key == "o":
            self.board.log_next()
        elif key == "\t":
            self.board.chosen = (self.board.chosen + 1) % max(1, len(self.board.gates))
            self._gate_describe()
        elif gate is not None and gate.kind is states.GateKind.QUESTION:
            if key == "e":
                self._ask_for("answer (return sends, escape drops it)", lambda text: self._answer(gate, text))
        elif gate is not None and key == "a":
            self._ask_for("approve exactly this? y", lambda text: self._approve(gate, text))
        elif gate is not None and key == "r":
            self._ask_for("reject, because (return sends, escape drops it)", lambda text: self._reject(gate, text))
        return True

    def _ask_for(self, prompt: str, then: Callable[[str], None]) -> None:
        self._ask, self._typed = then, ""
        self._question = prompt
        self.board.prompt = f"{prompt}: "

    def _answer_type(self, key: str) -> None:
        assert self._ask is not None
        if key.startswith("\x1b"):
            self._ask, self.board.prompt = None, ""
            return
        is_single = self._question.endswith("y")
        if key in ("\r", "\n") or is_single:
            ask, self._ask, self.board.prompt = self._ask, None, ""
            ask(key if is_single else self._typed)
            return
        self._typed = self._typed[:-1] if key in ("\x7f", "\b") else self._typed + (key if key.isprintable() else "")
        self.board.prompt = f"{self._question}: {self._typed}"

    def _approve(self, gate: messages.GateView, key: str) -> None:
        if key == "y":
            # The digest of what was on show, so that nothing else can be approved by it.
            self._send(gate, decision=states.GateDecision.APPROVE, digest=gate.digest)

    def _reject(self, gate: messages.GateView, comment: str) -> None:
        self._send(gate, decision=states.GateDecision.REJECT, comment=comment)

    def _answer(self, gate: messages.GateView, text: str) -> None:
        self._send(gate, decision=states.GateDecision.ANSWER, answer=text)

    def _send(self, gate: messages.GateView, **decision: Any) -> None:
        parameters = {"repository_id": self._repository_id, "gate_id": gate.gate_id}
        try:
            body = options.message_checked(messages.GateDecide, decision)
            answer = self._client.call("gates.decide", messages.GateAnswer, parameters=parameters, body=body)
        except (errors.RopewayError, DaemonUnreachable) as error:
            self.board.notice = errors.said(error)
            return
        self.board.gate_take(answer.gate)
        self.board.step_take(answer.step)
        self.board.notice = f"{answer.gate.state}"
        self._gate_describe()

    # -- threads; each has a connection of its own, and ends with the process

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _follow_events(self, after_seq: int) -> None:
        try:
            with http.connect(self._home) as client:
                for record in client.events_follow(self._repository_id, after_seq=after_seq):
                    self._happened.put(record)
        except (DaemonUnreachable, errors.RopewayError) as error:
            self._happened.put(error)

    def _output_follow(self, step_id: str) -> None:
        """Follow the output of a step until it has settled, its further attempts included; once at a time."""
        if step_id not in self._followed:
            self._followed.add(step_id)
            self._begin(self._follow_output, step_id)

    def _follow_output(self, step_id: str) -> None:
        parameters = {"repository_id": self._repository_id, "step_id": step_id}
        # What can't be followed is no output; that the daemon has stopped is the other thread's to say.
        with suppress(DaemonUnreachable, errors.RopewayError), http.connect(self._home) as client:
            offset = progress.log_tail_offset(client, parameters)
            for piece in client.log_follow(parameters, offset=offset):
                self._happened.put(Output(step_id=step_id, text=piece.text))
        self._followed.discard(step_id)

    def _read_keys(self) -> None:
        for key in keyboard.keys_read():
            self._happened.put(Key(text=key))
        self._happened.put(Key(text="q"))


def _show_once(watching: _Watching, svg: Path | None, *, as_json: bool) -> None:
    board = watching.board
    if svg is not None:
        svg.write_text(_picture(board), encoding="utf-8")
    document = {
        "run": None if board.run is None else board.run.model_dump(mode="json"),
        "steps": [step.model_dump(mode="json") for step in board.steps.values()],
        "steps_left_out": board.steps_left_out,
        "gates": [gate.model_dump(mode="json") for gate in board.gates.values()],
    }
    options.show(document, as_json=as_json, lines=[] if svg is None else [f"{svg} shows it"])


def _picture(board: Board) -> str:
    import io

    from rich.console import Console

    width, height = _SVG_SIZE
    console = Console(record=True, file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor")
    console.print(board_render(board, width=width, height=height, now=datetime.now(UTC)))
    return console.export_svg(title="ropeway watch")
