"""A figure and its floor: what was measured, and what the same machine does in the same minute without our logic.

Only the ratio travels: absolute times are the machine's as much as ours. Every raw sample is kept in the JSON.
Tests: tests/unit/benchmarks/test_figures.py.
"""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report. `floor` is in the same unit; `is_rate`: more is better."""

    group: str
    name: str
    unit: str
    value: float
    floor: float | None = None
    floor_name: str = ""
    is_rate: bool = False
    samples: int = 1

    @property
    def ratio(self) -> float | None:
        """How many times the floor's cost ours is; 1 is as good as nothing of ours at all."""
        if not self.floor or not self.value:
            return None
        return self.floor / self.value if self.is_rate else self.value / self.floor


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything a run of the benchmarks found."""

    figures: list[Figure] = field(default_factory=list)
    raw: dict[str, list[float]] = field(default_factory=dict)

    def keep(self, name: str, samples: Sequence[float]) -> None:
        """Keep raw samples under a name."""
        self.raw.setdefault(name, []).extend(round(sample, 4) for sample in samples)

    def write(self, path: Path) -> None:
        """As JSON: machine, figures, raw samples; nothing that says where."""
        document = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine_facts(),
            "figures": [{**asdict(figure), "ratio": figure.ratio} for figure in self.figures],
            "raw": self.raw,
        }
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample below which this share of them lies (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def machine_facts() -> dict[str, str | int | float]:
    """What the figures depend on, without a name or a path."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "processor": platform.machine(),
        "cores": os.cpu_count() or 0,
        "load_1m": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }
