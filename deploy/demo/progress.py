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
        """Show a patch in colours."""
        self.console.print(Panel(Syntax(patch, "diff", theme="ansi_dark", word_wrap=True), title="the patch"))

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """Show rows, digests uncut."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def say(self, text: str) -> None:
        """A plain line."""
        self.console.print(text, soft_wrap=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started_at
