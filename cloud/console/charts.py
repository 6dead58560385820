"""Bars over time, as numbers that a template draws: no script, and readable as a table.

Pure. Tests: tests/unit/cloud/console/test_charts.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 96
STEP = 20
BAR = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One time: what went well stands below what did not."""

    label: str
    good: int
    bad: int
    x: int
    good_height: float
    bad_height: float

    @property
    def good_y(self) -> float:
        """Where the lower part begins."""
        return HEIGHT - self.good_height

    @property
    def bad_y(self) -> float:
        """Where the upper part begins."""
        return HEIGHT - self.good_height - self.bad_height


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars, and what they add up to."""

    bars: tuple[Bar, ...]
    good: int
    bad: int
    highest: int
    width: int
    height: int = HEIGHT
    bar_width: int = BAR


def chart_of(points: Sequence[tuple[str, int, int]]) -> Chart:
    """Bars for (label, good, bad), the highest as high as the chart."""
    highest = max((good + bad for _, good, bad in points), default=0)
    scale = HEIGHT / highest if highest else 0.0
    bars = tuple(
        Bar(
            label=label,
            good=good,
            bad=bad,
            x=at * STEP,
            good_height=round(good * scale, 2),
            bad_height=round(bad * scale, 2),
        )
        for at, (label, good, bad) in enumerate(points)
    )
    return Chart(
        bars=bars,
        good=sum(good for _, good, _ in points),
        bad=sum(bad for _, _, bad in points),
        highest=highest,
        width=len(points) * STEP,
    )
