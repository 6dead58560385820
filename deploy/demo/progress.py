"""What the demo prints: each step with its time, live on a terminal and as plain lines elsewhere.

It prints and measures, nothing else. Called by `deploy/demo/__main__.py` and `story.py`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_TABLE_LINES = 3
"""What a table's own lines take beside each column."""


class Progress:
    """The running commentary. One line a step: what, how long, and what was learned."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.started_at = time.monotonic()

    def heading(self, text: str) -> None:
        """A new chapter."""
        self.console.print(f"\n[bold]{text}[/bold]")

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """Time what happens inside. Append to the list given to say what came of it."""
        learned: list[str] = []
        start = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(text):
                yield learned
        else:
            yield learned
        line = Text("  ✓ ", style="green")
        line.append(f"{text:<46}", style="default")
        line.append(f"{(time.monotonic() - start) * 1000:8.0f} ms  ", style="dim")
        line.append("; ".join(learned), style="cyan")
        self.console.print(line, soft_wrap=True)

    def patch(self, patch: str) -> None:
        """Show a patch: in colours, or line for line as it is."""
        if not self.console.is_terminal:
            self.say("the patch")
            for line in patch.splitlines():
                self.say(f"  {line}")
            return
        self.console.print(Panel(Syntax(patch, "diff", theme="ansi_dark", word_wrap=True), title="the patch"))

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """Show rows, digests uncut: a table where it fits a terminal, else columns of plain text."""
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        if not self.console.is_terminal or sum(widths) + _TABLE_LINES * (len(widths) + 1) > self.console.width:
            self.say(title.lower())
            for row in (columns, *rows):
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self.say(f"  {'  '.join(cells)}".rstrip())
            return
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def say(self, text: str) -> None:
        """A plain line, never wrapped and taken as it is."""
        self.console.print(text, soft_wrap=True, markup=False, emoji=False)

    def say_in_person(self, *lines: str) -> None:
        """Lines for whoever sits at the terminal, and for no log: they hold a secret."""
        # Not the console's own belief, which is about colours: FORCE_COLOR makes it take a log for a terminal.
        if self.console.file.isatty():
            for line in lines:
                self.say(line)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started_at
