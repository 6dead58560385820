"""The daemon with much on record, and on a large repository: what must not grow, and what has to stay bearable.

Two daemons, one with 16 steps on record and one with 16,000, read and given steps by turns; the large one is also
started after a crash that left 500 attempts and their worktrees unfinished. Then a repository of 2,000 files: the time
from submit until the executor's process, where `git worktree add` alone is the floor, and a whole step beside what git
takes for one. Called by `benchmarks/__main__.py`.
"""

import asyncio
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Figure, Report, percentile
from benchmarks.http_client import Connection
from benchmarks.screen import Screen
from benchmarks.steps import (
    AS_INSTALLED,
    FLOOR,
    FLOOR_NAME,
    Submitter,
    daemon_door,
    repository_make,
    submitters_open,
)
from deploy.stack.local import LocalStack
from local_daemon.attempts import services as attempts
from local_daemon.protocol import ids, specs, states
from local_daemon.runs import services as runs
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage import database
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import worktree

T = TypeVar("T")

GROUP = "The daemon with much on record"
GROUP_LARGE = "A repository of 2,000 files"
FEW, MANY = 16, 16_000
UNFINISHED = 500
READS = 2000
STEPS = 20
STARTS = 3
FILES = 2000
SUBMITS = 12
PAUSE_S = 1.5
_BATCH = 500
_TASK = specs.TaskSpec(goal="measure", executor="fake-success")


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Reads, recovery, and the large repository."""
    few, many = Filled(root / "few"), Filled(root / "many")
    with screen.doing(f"daemon: put {MANY} steps on record"):
        few.fill(FEW)
        many.fill(MANY)
    with screen.doing(f"daemon: read a status {READS} times with {FEW} and with {MANY} steps on record"):
        _report_reads(asyncio.run(_reads(few, many)), report)
    with screen.doing(f"daemon: {STEPS} steps with {FEW} and with {MANY} on record"):
        _report_steps(asyncio.run(_steps(few, many)), report)
    few.stack.daemon.stop()
    with screen.doing(f"daemon: start {STARTS} times after a crash with {UNFINISHED} attempts unfinished"):
        begun = [(many.recover(), many.start()) for _ in range(STARTS)]
        _report_recovery([ours for ours, _ in begun], [floor for _, floor in begun], report)
    many.stack.daemon.stop()
    with screen.doing(f"daemon: {SUBMITS} steps on {FILES} files, one every {PAUSE_S} s"):
        _measure_large(root / "large", report)


class Filled:
    """A daemon whose record holds a number of settled steps."""

    def __init__(self, root: Path) -> None:
        self.stack = LocalStack(root, env=AS_INSTALLED)
        self.stack.start_daemon()
        self.repository = repository_make(root / "repository")
        added = self.stack.ropeway("repository", "add", str(self.repository))
        self.repository_id = ids.RepositoryId(added["repository_id"])
        self.run_id = ids.RunId("")

    def fill(self, count: int) -> None:
        """Put `count` cancelled steps of one run on record, behind the stopped daemon's back; then start it again."""

        def begin(tx: Transaction) -> ids.RunId:
            made, _ = runs.run_create(tx, repository_id=self.repository_id, objective="o", name=None, title=None)
            return made.run_id

        (self.run_id,) = self._write([begin])
        self._write([self._settled] * count)
        self.stack.start_daemon()

    def start(self) -> float:
        """Seconds from starting, where nothing was left unfinished, until it answers."""
        self.stack.daemon.stop()
        begun = time.perf_counter()
        self.stack.start_daemon()
        return time.perf_counter() - begun

    def recover(self) -> float:
        """Seconds from starting, after a crash that left attempts unfinished and their worktrees behind, until it
        answers and all are settled. Then their worktrees have to go."""
        attempt_ids = self._write([self._unfinished] * UNFINISHED)
        asyncio.run(self._worktrees_make(attempt_ids))
        begun = time.perf_counter()
        self.stack.start_daemon()
        took = time.perf_counter() - begun
        connection = database.reader_open(self.stack.daemon_home / "record.sqlite3")
        counts = step_selectors.step_counts(connection, [self.run_id])[self.run_id]
        connection.close()
        assert set(counts) == {states.StepState.CANCELLED}, counts
        self.stack.daemon.wait_until(lambda: not any(self._worktrees.iterdir()), timeout_s=120)
        return took

    @property
    def _worktrees(self) -> Path:
        return self.stack.daemon_home / "worktrees"

    async def _worktrees_make(self, attempt_ids: list[str]) -> None:
        for attempt_id in attempt_ids:
            await worktree.worktree_create(self.repository, path=self._worktrees / attempt_id, base="HEAD")

    def _write(self, changes: list[Callable[[Transaction], T]]) -> list[T]:
        self.stack.daemon.stop()
        connection = database.writer_open(self.stack.daemon_home / "record.sqlite3")
        answers = []
        for at in range(0, len(changes), _BATCH):
            connection.execute("BEGIN IMMEDIATE")
            tx = Transaction(connection=connection, now=database.utc_now(), call_id=None)
            answers += [change(tx) for change in changes[at : at + _BATCH]]
            connection.execute("COMMIT")
        connection.close()
        return answers

    def _submitted(self, tx: Transaction) -> ids.StepId:
        step, _ = steps.step_submit(tx, run_id=self.run_id, repository_id=self.repository_id, task=_TASK, name=None)
        return step.step_id

    def _settled(self, tx: Transaction) -> ids.RunId:
        steps.step_cancel_request(tx, step_id=self._submitted(tx), reason="measured")
        return self.run_id

    def _unfinished(self, tx: Transaction) -> str:
        """Leased, and to be cancelled, so that nothing of it runs afterwards."""
        step_id = self._submitted(tx)
        attempt = attempts.attempt_lease(
            tx,
            step_id=step_id,
            run_id=self.run_id,
            repository_id=self.repository_id,
            executor=_TASK.executor,
            epoch=1,
        )
        steps.step_advance(tx, step_id=step_id, event=states.StepEvent.LEASED)
        steps.step_cancel_request(tx, step_id=step_id, reason="measured")
        return attempt.attempt_id


async def _reads(few: Filled, many: Filled) -> dict[int, dict[str, list[float]]]:
    taken: dict[int, dict[str, list[float]]] = {}
    async with (
        Connection(*daemon_door(few.stack)) as to_few,
        Connection(*daemon_door(many.stack)) as to_many,
    ):
        both = ((FEW, few, to_few), (MANY, many, to_many))
        for number in range(READS):
            # Who is asked first pays for waking up after the other one.
            for count, filled, connection in both if number % 2 else both[::-1]:
                base = f"/api/v1/repositories/{filled.repository_id}/runs/{filled.run_id}"
                for name, path in (("a run", base), ("a page of its steps", f"{base}/steps?limit=16")):
                    start = time.perf_counter()
                    status, _ = await connection.ask("GET", path)
                    assert status == 200, status
                    took = (time.perf_counter() - start) * 1000
                    taken.setdefault(count, {}).setdefault(name, []).append(took)
    return taken


def _report_reads(taken: dict[int, dict[str, list[float]]], report: Report) -> None:
    for name, samples in taken[MANY].items():
        report.keep(f"read {name} ms, {MANY} steps", samples)
        report.keep(f"read {name} ms, {FEW} steps", taken[FEW][name])
        report.figures.append(
            Figure(
                group=GROUP, name=f"read {name}, {MANY} steps, p50", unit="ms", value=percentile(samples, 0.5),
                floor=percentile(taken[FEW][name], 0.5), floor_name=f"the same with {FEW} steps", samples=len(samples),
            )
        )  # fmt: skip


async def _steps(few: Filled, many: Filled) -> dict[int, list[float]]:
    """A repository's first step is not counted: it makes its run."""
    taken: dict[int, list[float]] = {FEW: [], MANY: []}
    async with (
        submitters_open(few.stack, few.repository_id, 1) as (to_few,),
        submitters_open(many.stack, many.repository_id, 1) as (to_many,),
    ):
        both = ((FEW, to_few), (MANY, to_many))
        for number in range(STEPS + 1):
            for count, submitter in both if number % 2 else both[::-1]:
                start = time.perf_counter()
                await submitter.step()
                if number:
                    taken[count].append((time.perf_counter() - start) * 1000)
    return taken


def _report_steps(taken: dict[int, list[float]], report: Report) -> None:
    for count, samples in taken.items():
        report.keep(f"step ms, {count} on record", samples)
    report.figures.append(
        Figure(
            group=GROUP, name=f"submit to completed, {MANY} steps, p50", unit="ms", value=percentile(taken[MANY], 0.5),
            floor=percentile(taken[FEW], 0.5), floor_name=f"the same with {FEW} steps", samples=STEPS,
        )
    )  # fmt: skip


def _report_recovery(ours: list[float], floor: list[float], report: Report) -> None:
    report.keep("recovery s, ours", ours)
    report.keep("recovery s, floor", floor)
    report.figures.append(
        Figure(
            group=GROUP, name=f"start, {UNFINISHED} unfinished of {MANY}, p50", unit="s",
            value=percentile(ours, 0.5), floor=percentile(floor, 0.5), floor_name="the same with none unfinished",
            samples=len(ours),
        )
    )  # fmt: skip


def _measure_large(root: Path, report: Report) -> None:
    repository = repository_make(root / "repository", files=FILES)
    stack = LocalStack(root, env=AS_INSTALLED)
    stack.start_daemon()
    try:
        added = stack.ropeway("repository", "add", str(repository))
        taken = asyncio.run(_large_steps(stack, added["repository_id"], repository, root))
    finally:
        stack.daemon.stop()
    for name, samples in vars(taken).items():
        report.keep(f"2,000 files: {name} ms", samples)
    for name, ours, floor, floor_name in (
        ("submit to the executor's process", taken.start, taken.checkout, "git worktree add"),
        ("submit to completed", taken.step, taken.script, FLOOR_NAME),
    ):
        report.figures.append(
            Figure(
                group=GROUP_LARGE, name=f"{name} p50", unit="ms", value=percentile(ours, 0.5),
                floor=percentile(floor, 0.5), floor_name=floor_name, samples=len(ours),
            )
        )  # fmt: skip


@dataclass(kw_only=True)
class _Taken:
    """Milliseconds on the large repository: until a step's process, for a whole step, and git's own for either."""

    start: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    checkout: list[float] = field(default_factory=list)
    script: list[float] = field(default_factory=list)


async def _large_steps(stack: LocalStack, repository_id: str, repository: Path, root: Path) -> _Taken:
    """The first step makes its own checkout and isn't counted; then a person's pace, so that a spare is there."""
    taken = _Taken()
    run_id = ""
    for number in range(SUBMITS + 1):
        async with Connection(*daemon_door(stack)) as connection:  # Anew: a door closes connections that rest.
            submitter = Submitter(connection=connection, repository_id=repository_id, run_id=run_id)
            submitted_at = time.time()
            step_id = await submitter.step()
            step_took = time.time() - submitted_at
            page = await submitter.ask("GET", f"/api/v1/repositories/{repository_id}/steps/{step_id}/attempts")
            run_id = submitter.run_id
        if number:
            started = datetime.fromisoformat(page["items"][0]["started_at"])
            taken.start.append((started.timestamp() - submitted_at) * 1000)
            taken.step.append(step_took * 1000)
        tree = root / f"floor-{number}"
        start = time.perf_counter()
        await _git(repository, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        taken.checkout.append((time.perf_counter() - start) * 1000)
        await _git(repository, "worktree", "remove", "--force", str(tree))
        start = time.perf_counter()
        await _run("sh", str(FLOOR), str(repository), str(tree), directory=repository)
        taken.script.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(PAUSE_S)
    return taken


async def _git(repository: Path, *arguments: str) -> None:
    await _run("git", *arguments, directory=repository)


async def _run(*argv: str, directory: Path) -> None:
    await asyncio.to_thread(subprocess.run, argv, cwd=directory, check=True, capture_output=True)
