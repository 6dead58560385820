"""What a run of the benchmarks shows: progress while it measures (plain lines without a terminal), then a table.

It prints, nothing else. Called by `benchmarks/__main__.py`, and by each benchmark to say what it does now.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Report

_LINE_CHARACTERS = 140
"""How wide a table may be where nobody says."""


class Screen:
    """The running commentary."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = _LINE_CHARACTERS
        self._started_at = time.monotonic()

    @contextmanager
    def doing(self, text: str) -> Iterator[None]:
        """Say what goes on inside, and how long it took."""
        start = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"{text} …"):
                yield
        else:
            yield
        self.console.print(f"[green]✓[/green] {text:<60} [dim]{time.monotonic() - start:5.1f} s[/dim]", soft_wrap=True)

    def table(self, report: Report) -> None:
        """Every figure beside its floor."""
        table = Table(title=f"\nMeasured in {time.monotonic() - self._started_at:.0f} s", title_justify="left")
        for column, justify in (("figure", "left"), ("ours", "right"), ("floor", "right"), ("cost", "right")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]  # a literal each
        table.add_column("the floor is")
        group = ""
        for figure in report.figures:
            if figure.group != group:
                group = figure.group
                table.add_section()
                table.add_row(f"[bold]{group}[/bold]")
            table.add_row(
                f"  {figure.name}", *_values(figure), "" if figure.ratio is None else f"{figure.ratio:.2f}×",
                f"[dim]{figure.floor_name}[/dim]",
            )  # fmt: skip
        self.console.print(table)


def _values(figure: Figure) -> tuple[str, str]:
    return _value(figure.value, figure.unit), "" if figure.floor is None else _value(figure.floor, figure.unit)


def _value(value: float, unit: str) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"
