"""`make bench`: measure, each figure beside its floor, and show a table.

    python -m benchmarks [--out FILE] [--only steps|scale|logs|calls|funnel|record|audit|lists|memory]

`memory` takes long and runs only when it is named. Everything runs below `.var/bench`, made anew and removed. What the
figures mean: docs/benchmarks.md.
"""

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks import audit, calls, funnel, lists, logs, memory, record, scale, steps
from benchmarks.figures import Report
from benchmarks.screen import Screen
from deploy.stack.local import ROOT

HOME = ROOT / ".var" / "bench"
BENCHMARKS = {
    "steps": steps.measure,
    "scale": scale.measure,
    "logs": logs.measure,
    "calls": calls.measure,
    "funnel": funnel.measure,
    "record": record.measure,
    "audit": audit.measure,
    "lists": lists.measure,
}
LONG = {"memory": memory.measure}


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="write every figure and raw sample to this JSON file")
    parser.add_argument("--only", choices=sorted(BENCHMARKS | LONG), help="only this one")
    arguments = parser.parse_args()
    report, screen = Report(), Screen()
    chosen = BENCHMARKS if arguments.only is None else {arguments.only: (BENCHMARKS | LONG)[arguments.only]}
    for name, measure in chosen.items():
        shutil.rmtree(HOME / name, ignore_errors=True)
        measure(HOME / name, report, screen)
        shutil.rmtree(HOME / name, ignore_errors=True)
    screen.table(report)
    if arguments.out is not None:
        report.write(arguments.out)
        screen.console.print(f"Raw figures: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
