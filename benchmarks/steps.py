"""The daemon alone: how long a step takes, how many get done, how soon it is there and what it holds in memory.

A real daemon process over its Unix socket, the fake executor (a real child process), a real worktree of a repository
with fifty files. The floor is what git itself costs: a plain script that adds a worktree, commits a file and removes
the worktree. Both by turns, so that a noisy minute is noisy for both. Called by `benchmarks/__main__.py`.
"""

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Report, percentile
from benchmarks.http_client import Address, Connection
from benchmarks.screen import Screen
from deploy.stack.local import ROOT, LocalStack
from deploy.stack.processes import NotReady, Process
from local_daemon.config.home import Home

GROUP = "A step: daemon, fake executor, real worktree, 50 files"
FILES = 50
ROUNDS = 6
ONE_BY_ONE = 8
TOGETHER_S = 2.5
SUBMITTERS = (1, 4, 8)
STARTS = 5
IDLE_S = 1.0
FLOOR = Path(__file__).parent / "floor" / "worktree.sh"
FLOOR_NAME = "git worktree add, write, add, commit, remove"
_WAIT_S = 25
_POLL_S = 0.001

AS_INSTALLED = {"ROPEWAY_ENV": "test", "PYTHONDONTWRITEBYTECODE": ""}
"""Every process's environment: an installed package has its bytecode, and fakes are for tests."""

Once = Callable[[], Awaitable[object]]


class StepFailed(Exception):
    """A step did not complete; a figure out of failures would say nothing."""


@dataclass(slots=True, kw_only=True)
class Submitter:
    """One planner at the daemon's socket."""

    connection: Connection
    repository_id: str
    run_id: str = ""

    async def step(self) -> str:
        """Submit one step and wait for its end; answers its id. Raises StepFailed."""
        base = f"/api/v1/repositories/{self.repository_id}"
        if not self.run_id:
            made = await self.ask("POST", f"{base}/runs", b'{"objective": "measure"}')
            self.run_id = made["run"]["run_id"]
        task = b'{"task": {"goal": "measure", "executor": "fake-success"}}'
        step = (await self.ask("POST", f"{base}/runs/{self.run_id}/steps", task))["step"]
        waited = await self.ask("GET", f"{base}/steps/{step['step_id']}/wait?timeout_s={_WAIT_S}")
        if waited["step"]["state"] != "completed":
            raise StepFailed(json.dumps(waited["step"]))
        return str(step["step_id"])

    async def ask(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """One call's answer. Raises StepFailed."""
        status, content = await self.connection.ask(method, path, body)
        if status >= 300:
            raise StepFailed(f"{method} was answered {status}: {content[:500]!r}")
        answer: dict[str, Any] = json.loads(content)
        return answer


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What the rounds brought, ours and the floor's."""

    one: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "floor": []})
    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Everything about the daemon alone, with its state below `root`."""
    repository = repository_make(root / "repository")
    stack = LocalStack(root, env=AS_INSTALLED)
    with screen.doing(f"daemon: start it {STARTS} times, by turns with a bare server"):
        _measure_start(stack, root, report)
    stack.start_daemon()
    try:
        added = stack.ropeway("repository", "add", str(repository))
        tally = asyncio.run(_measure_steps(stack, added["repository_id"], root, screen))
    finally:
        stack.daemon.stop()
    _report_steps(tally, report)


def repository_make(root: Path, *, files: int = FILES) -> Path:
    """A repository of so many small files, made anew."""
    root.mkdir(parents=True)
    for number in range(files):
        path = root / f"package{number % 5}" / f"module{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"NUMBER = {number}\n" * 40)
    author = ("-c", "user.name=floor", "-c", "user.email=floor@example.com")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*author, "commit", "-q", "-m", "begin")):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
    return root


def daemon_door(stack: LocalStack) -> tuple[Address, dict[str, str]]:
    """Where the daemon answers, and the headers it wants."""
    address = json.loads((stack.daemon_home / "daemon.json").read_text())
    token = (stack.daemon_home / "token").read_text().strip()
    return Address(socket=Path(address["socket"])), {"Authorization": f"Bearer {token}"}


def _measure_start(stack: LocalStack, root: Path, report: Report) -> None:
    our_socket = Home(root=stack.daemon_home).socket
    bare_socket = stack.daemon_home.parent / "bare.sock"
    bare = Process(
        name="bare", argv=[sys.executable, "-m", "benchmarks.floor.daemon", str(bare_socket)],
        env=stack.env, cwd=ROOT, log=root / "logs" / "bare.log",
    )  # fmt: skip
    stack.start_daemon()  # The first start makes the home; what is measured is every later one.
    stack.daemon.stop()
    took: dict[str, list[float]] = {"ours": [], "floor": []}
    memory: dict[str, list[float]] = {"ours": [], "floor": []}
    for _ in range(STARTS):
        bare_socket.unlink(missing_ok=True)
        for side, process, address, path in (
            ("ours", stack.daemon, Address(socket=our_socket), "/livez"),
            ("floor", bare, Address(socket=bare_socket), "/"),
        ):
            took[side].append(_answers_after(process, address, path) * 1000)
            time.sleep(IDLE_S)  # What it loads or makes only once it answers counts as well.
            memory[side].append(resident_mb(process.pid))
            process.stop()
    for what, unit, found in (("time to ready p50", "ms", took), ("resident when idle p50", "MB", memory)):
        for side, samples in found.items():
            report.keep(f"daemon {what}, {side}", samples)
        report.figures.append(
            Figure(
                group=GROUP, name=what, unit=unit, value=percentile(found["ours"], 0.5),
                floor=percentile(found["floor"], 0.5), floor_name="bare uvicorn on a Unix socket", samples=STARTS,
            )
        )  # fmt: skip


def _answers_after(process: Process, address: Address, path: str) -> float:
    """Seconds from starting a process to its first answer. Raises NotReady."""
    begun = time.perf_counter()
    process.start()
    while not _listens(address.socket):
        if not process.is_running():
            raise NotReady(f"{process.name} has ended")
        time.sleep(_POLL_S)
    asyncio.run(_first_answer(address, {}, path))
    return time.perf_counter() - begun


def _listens(path: Path | None) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


async def _first_answer(address: Address, headers: dict[str, str], path: str) -> None:
    async with Connection(address, headers) as connection:
        await connection.ask("GET", path)


def resident_mb(pid: int) -> float:
    """What the process holds in memory."""
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


async def _measure_steps(stack: LocalStack, repository_id: str, root: Path, screen: Screen) -> _Tally:
    # One each: of several `git worktree add` at once in one repository, some fail.
    lanes = [repository_make(root / "floor" / str(number)) for number in range(max(SUBMITTERS))]
    numbers = itertools.count()
    tally = _Tally()

    async def floor_step(repository: Path = lanes[0]) -> None:
        worktree = root / f"floor-{next(numbers)}"
        script = ["sh", str(FLOOR), str(repository), str(worktree)]
        await asyncio.to_thread(subprocess.run, script, check=True, capture_output=True, env=os.environ)

    await floor_step()
    with screen.doing(f"daemon: {ROUNDS} rounds of {ONE_BY_ONE} steps, one after the other"):
        for _ in range(ROUNDS):
            async with submitters_open(stack, repository_id, 1) as (submitter,):
                await submitter.step()  # Makes its run.
                tally.one["ours"] += await _times(submitter.step)
            tally.one["floor"] += await _times(floor_step)
    for count in SUBMITTERS:
        with screen.doing(f"daemon: as many steps as {count} can submit"):
            for _ in range(2):
                async with submitters_open(stack, repository_id, count) as submitters:
                    ours = await _rate([submitter.step for submitter in submitters])
                tally.rates.setdefault(("ours", count), []).append(ours)
                tally.rates.setdefault(("floor", count), []).append(
                    await _rate([partial(floor_step, lane) for lane in lanes[:count]])
                )
    return tally


@asynccontextmanager
async def submitters_open(stack: LocalStack, repository_id: str, count: int) -> AsyncIterator[list[Submitter]]:
    """So many planners, each over a connection of its own; anew, because a door closes connections that rest."""
    address, headers = daemon_door(stack)
    async with AsyncExitStack() as connections:
        yield [
            Submitter(
                connection=await connections.enter_async_context(Connection(address, headers)),
                repository_id=repository_id,
            )
            for _ in range(count)
        ]


async def _times(once: Once) -> list[float]:
    taken = []
    for _ in range(ONE_BY_ONE):
        start = time.perf_counter()
        await once()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


async def _rate(everyone: list[Once]) -> float:
    start = time.perf_counter()
    done = 0

    async def repeat(once: Once) -> None:
        nonlocal done
        while time.perf_counter() - start < TOGETHER_S:
            await once()
            done += 1

    await asyncio.gather(*(repeat(once) for once in everyone))
    return done / (time.perf_counter() - start)


def _report_steps(tally: _Tally, report: Report) -> None:
    for side, samples in tally.one.items():
        report.keep(f"step ms, {side}", samples)
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        report.figures.append(
            Figure(
                group=GROUP, name=f"submit to completed {name}", unit="ms", value=percentile(tally.one["ours"], share),
                floor=percentile(tally.one["floor"], share), floor_name=FLOOR_NAME, samples=len(tally.one["ours"]),
            )
        )  # fmt: skip
    for count in SUBMITTERS:
        ours, floor = tally.rates[("ours", count)], tally.rates[("floor", count)]
        report.keep(f"steps/s by {count}, ours", ours)
        report.keep(f"steps/s by {count}, floor", floor)
        report.figures.append(
            Figure(
                group=GROUP, name=f"completed, {count} submitting", unit="/s", value=sum(ours) / len(ours),
                floor=sum(floor) / len(floor), floor_name=f"the same script, {count} at once, a repository each",
                is_rate=True,
                samples=len(ours),
            )
        )  # fmt: skip
