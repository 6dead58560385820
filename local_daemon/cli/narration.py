"""What is told on standard error while a step works: on a terminal lines above one that moves, under which stands what
the executor said last; elsewhere a line for each change, and every line that the executor prints.

Reads nothing of the step but its output, and decides nothing. Called by `progress`. Tests:
tests/integration/daemon/test_cli.py, tests/integration/daemon/test_first_minutes.py.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

import click

from local_daemon.cli import output
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, limits, messages, states, terminals

STREAMS = ("stdout", "stderr")
TAIL_BYTES = 16 * limits.KIB
"""Who comes later hears this much of what was said before."""

_OUTPUT_S = 10.0
"""How long the output of a step that has settled may take to come to its end."""


class Narrator(Protocol):
    """Tells what happens to one step."""

    def say(self, line: str) -> None:
        """Tell one thing that happened."""

    def output_await(self) -> None:
        """Return once all that the executor said has been told; its step has settled."""


@contextmanager
def narrating(client: DaemonClient, step: messages.StepView, *, offsets: Mapping[str, int]) -> Iterator[Narrator]:
    """Tell of this step until the block ends; of each stream of its output from where `offsets` says."""
    if sys.stderr is None or not sys.stderr.isatty():
        lines = _Lines(client, step, offsets=offsets)
        try:
            yield lines
        finally:
            lines.end()
        return
    with _live(client, step) as narrator:
        yield narrator


class _Lines:
    """Lines only, for a log or another program."""

    def __init__(self, client: DaemonClient, step: messages.StepView, *, offsets: Mapping[str, int]) -> None:
        self._client, self._step, self._offsets = client, step, offsets
        self._speaking, self._is_over = threading.Lock(), False
        if step.state not in states.STEP_SETTLED:
            self.say(str(step.state))
        # They end with the step, or with this process.
        self._listening = [threading.Thread(target=self._hear, args=(name,), daemon=True) for name in STREAMS]
        for thread in self._listening:
            thread.start()

    def say(self, line: str) -> None:
        """After the step's id."""
        self._tell(f"{self._step.step_id}: {line}")

    def output_await(self) -> None:
        """Both streams to their ends."""
        for thread in self._listening:
            thread.join(_OUTPUT_S)

    def end(self) -> None:
        """Nobody listens any more: what the executor still says is left to the log."""
        with self._speaking:
            self._is_over = True

    def _tell(self, line: str) -> None:
        with self._speaking:
            if self._is_over:
                return
            try:
                click.echo(terminals.plain(line), err=True)
            except BrokenPipeError:
                # Nobody is told any more; what the step comes to is still to be said, and is the exit code.
                sys.stderr = None
                self._is_over = True

    def _hear(self, stream: str) -> None:
        offset = self._offsets.get(stream, 0)
        lines, attempt_id = output.Lines(is_cut=offset > 0), None
        for piece in _pieces(self._client, self._step, stream=stream, offset=offset):
            if attempt_id not in (None, piece.attempt_id):
                self._repeat(lines.rest())
            attempt_id = piece.attempt_id
            self._repeat(lines.take(piece.text))
        self._repeat(lines.rest())

    def _repeat(self, lines: list[str]) -> None:
        for line in lines:
            self._tell(f"  | {line}")


class _Live:
    """The line that moves."""

    def __init__(self, step: messages.StepView, *, console: Callable[[str], None], show: Callable[[str], None]) -> None:
        self._step, self._console, self._show = step, console, show
        self._began_at = time.monotonic()
        self._happens, self._said = str(step.state), ""

    def say(self, line: str) -> None:
        """Above the line that moves, and in it."""
        from rich.markup import escape

        self._console(f"[dim]{time.monotonic() - self._began_at:6.1f} s[/dim]  {escape(terminals.plain(line))}")
        self._happens = line
        self._draw()

    def hear(self, line: str) -> None:
        """Below it."""
        self._said = line
        self._draw()

    def output_await(self) -> None:
        """Only the last line is on show, and it goes."""

    def _draw(self) -> None:
        from rich.markup import escape

        said = f"\n  [dim]{escape(self._said)}[/dim]" if self._said else ""
        title, happens = escape(terminals.plain(self._step.title)), escape(terminals.plain(self._happens))
        self._show(f"{title} [dim]{happens}[/dim]{said}")


@contextmanager
def _live(client: DaemonClient, step: messages.StepView) -> Iterator[Narrator]:
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    with console.status(f"{escape(terminals.plain(step.title))} [dim]{step.state}[/dim]") as status:
        narrator = _Live(step, console=console.print, show=status.update)

        def hear() -> None:
            tail = output.Tail()
            for piece in _pieces(client, step):
                tail.take(piece.text)
                narrator.hear(next(iter(tail.last(1)), "")[: max(0, console.width - 4)])

        if step.state not in states.STEP_SETTLED:
            # Ends with the step, or with this process; nobody waits for it.
            threading.Thread(target=hear, daemon=True).start()
        yield narrator


def _pieces(
    client: DaemonClient, step: messages.StepView, *, stream: str = "stdout", offset: int = 0
) -> Iterator[messages.LogChunk]:
    """What the executor says, as it says it."""
    parameters = {"repository_id": step.repository_id, "step_id": step.step_id}
    # What can't be followed is no output; that the daemon has stopped is told by the events.
    with suppress(DaemonUnreachable, errors.RopewayError, RuntimeError):
        yield from client.log_follow(parameters, stream=stream, offset=offset)
