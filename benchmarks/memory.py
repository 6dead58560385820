"""What a daemon holds in memory after ten thousand steps, beside what it held when it was ready.

Four planners at its socket, a real child process and a real worktree for each step. Takes a quarter of an hour and
more, so it runs only when it is asked for: `python -m benchmarks --only memory`. Called by `benchmarks/__main__.py`.
"""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Report
from benchmarks.screen import Screen
from benchmarks.steps import AS_INSTALLED, Submitter, repository_make, resident_mb, submitters_open
from deploy.stack.local import LocalStack

GROUP = "A daemon that has worked for long"
STEPS = 10_000
SAMPLES = 10
SUBMITTERS = 4
STEPS_OF_A_RUN = 100


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Resident memory as the steps are done."""
    stack = LocalStack(root, env=AS_INSTALLED)
    stack.start_daemon()
    try:
        added = stack.ropeway("repository", "add", str(repository_make(root / "repository")))
        samples = [resident_mb(stack.daemon.pid)]
        for number in range(SAMPLES):
            with screen.doing(f"daemon: steps {number * STEPS // SAMPLES} to {(number + 1) * STEPS // SAMPLES}"):
                asyncio.run(_steps(stack, added["repository_id"], STEPS // SAMPLES))
            samples.append(resident_mb(stack.daemon.pid))
    finally:
        stack.daemon.stop()
    report.keep(f"resident MB as {STEPS} steps are done", samples)
    report.figures.append(
        Figure(
            group=GROUP, name=f"resident after {STEPS} steps", unit="MB", value=samples[-1], floor=samples[0],
            floor_name="the same daemon when it was ready", samples=1,
        )
    )  # fmt: skip
    later = samples[SAMPLES // 2 :]
    report.figures.append(
        Figure(
            group=GROUP, name="grown per 1,000 steps in the second half", unit="MB",
            value=(later[-1] - later[0]) / (STEPS / 1000 * (len(later) - 1) / SAMPLES), samples=len(later),
        )
    )  # fmt: skip


async def _steps(stack: LocalStack, repository_id: str, count: int) -> None:
    numbers = iter(range(count))
    async with submitters_open(stack, repository_id, SUBMITTERS) as submitters:
        await asyncio.gather(*(_one_planner(submitter, numbers) for submitter in submitters))


async def _one_planner(submitter: Submitter, numbers: Iterator[int]) -> None:
    for done in itertools.count():
        if next(numbers, None) is None:
            return
        if done % STEPS_OF_A_RUN == 0:
            submitter.run_id = ""
        await submitter.step()
