"""The funnel alone: token, limits, tenant, scope, call row, audit, row-level security, and the answer's record.

No socket and no machine: a process of its own calls what every surface calls (`floor/funnel.py`, which also holds the
floor: the same rows in the same two commits by hand, as the tables' owner, past row-level security). By turns.
Called by `benchmarks/__main__.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import calls, steps
from benchmarks.figures import Figure, Report, percentile
from benchmarks.screen import Screen
from deploy.stack.local import ROOT, LocalStack

GROUP = "The funnel alone: authentication, limits, tenant, scope, audit, row-level security"
ROUNDS = 300
_FLOOR = "the same rows in the same two commits, by hand"
_PARTS = {
    "whole": "accepted and answered",
    "authenticate": "of it: the token",
    "accept": "of it: accepted, token included",
    "answer": "of it: the answer recorded",
}


def measure(root: Path, report: Report, screen: Screen) -> None:
    """What a call costs before and after its way to the machine."""
    stack = LocalStack(root)
    try:
        with screen.doing("funnel: start a cloud and link a machine"):
            tenant = calls.start(stack, steps.repository_make(root / "repository"))
        with screen.doing(f"funnel: {ROUNDS} calls by turns with the same two commits by hand"):
            owner = stack.postgres.ensure_database("ropeway").owner
            arguments = [tenant.token, tenant.project_id, owner, str(ROUNDS)]
            ended = subprocess.run(
                [sys.executable, "-m", "benchmarks.floor.funnel", *arguments],
                env={**stack.env, "DJANGO_SETTINGS_MODULE": "cloud.config.settings.worker"},
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            found: dict[str, list[float]] = json.loads(ended.stdout.splitlines()[-1])
    finally:
        stack.stop()
    floors = {"whole": "floor", "accept": "floor accept", "answer": "floor answer"}
    for part, name in _PARTS.items():
        report.keep(f"funnel ms, {part}", found[part])
        floor = found.get(floors.get(part, ""))
        report.figures.append(
            Figure(
                group=GROUP,
                name=f"{name}: p50",
                unit="ms",
                value=percentile(found[part], 0.5),
                floor=percentile(floor, 0.5) if floor else None,
                floor_name=_FLOOR if floor else "",
                samples=len(found[part]),
            )
        )
