"""The admin's lists of 100,000 runs and 1,000,000 audit events: how long a page takes, and how many queries.

A process of its own asks for pages as a browser does and measures them by turns with their floor (`floor/lists.py`):
the rows of the page by one statement. Called by `benchmarks/__main__.py`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Report, percentile
from benchmarks.screen import Screen
from deploy.stack.local import ROOT, LocalStack

RUNS, EVENTS, ROUNDS = 100_000, 1_000_000, 40
GROUP = f"Admin lists, an owner's, of {RUNS:,} runs, {EVENTS:,} audit events and as many links"
_FLOOR = "the page's rows by one statement, fetched"


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Fill a database, then look at lists of it."""
    stack = LocalStack(root)
    try:
        with screen.doing("lists: a database"):
            stack.prepare_database()
            tenant = stack.bootstrap(organization="bench", project="bench", email="owner@bench.example")
        with screen.doing(f"lists: {RUNS:,} runs and {EVENTS:,} audit events, then {ROUNDS} times each list"):
            owner = stack.postgres.ensure_database("ropeway").owner
            ended = subprocess.run(
                [sys.executable, "-m", "benchmarks.floor.lists", tenant.email, owner, str(RUNS), str(EVENTS),
                 str(ROUNDS)],
                env={**stack.env, "DJANGO_SETTINGS_MODULE": "cloud.config.settings.worker"},
                cwd=ROOT,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )  # fmt: skip
            found: dict[str, dict[str, Any]] = json.loads(ended.stdout.splitlines()[-1])
    finally:
        stack.postgres.stop()
    for name, spent in found.items():
        for part in ("page", "database", "floor"):
            report.keep(f"list ms, {name}, {part}", spent[part])
        floor = percentile(spent["floor"], 0.95)
        report.figures += [
            Figure(group=GROUP, name=f"{name}: page p95, {spent['queries']} queries", unit="ms",
                   value=percentile(spent["page"], 0.95), floor=floor, floor_name=_FLOOR, samples=ROUNDS),
            Figure(group=GROUP, name="  of it the database, p95", unit="ms",
                   value=percentile(spent["database"], 0.95), floor=floor, floor_name=_FLOOR, samples=ROUNDS),
        ]  # fmt: skip
