"""A cancel ends everything an attempt started, or says that it could not prove it.

Its executor, its check or its hook is the adversary: trees of processes that leave their session, their parents, their
group, that are deaf to SIGTERM, and that keep starting more. Each process leaves its pid, so survivors are counted, not
believed.
"""

import asyncio
import json
import random
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_daemon.executors import fake, port, registry
from local_daemon.processes import children, ending, latch, process_table
from local_daemon.protocol import ids, states
from local_daemon.steps.records import Step
from tests.integration.daemon.machine import SETTLES_WITHIN_S, Machine, git, machine_start, repository_make

ESCAPES = (
    "{} &",
    "nohup {} >/dev/null 2>&1 &",
    "setsid {} &",
    "(setsid {} &) &",
    "(trap '' HUP TERM INT; setsid {} &) &",
    "setsid sh -c '(setsid sh -c {quoted} &) &' &",
)
ONE_OF = ("(cd / && setsid {} &);", "(env -u ROPEWAY_ATTEMPT_ID setsid {} &);")
"""A tree leaves either its directory or its environment behind. One that leaves both, its session and its parents too
can't be told from a stranger; docs/security.md says so."""


def tree(rng: random.Random, pids: Path, *, depth: int = 2, escapes: tuple[str, ...] = ()) -> str:
    """A shell line that starts processes in up to `depth` ways out, each of which notes its pid and stays."""
    escapes = escapes or (*ESCAPES, rng.choice(ONE_OF))
    note = f"echo $$ >>{shlex.quote(str(pids))}"
    stays = f"{note}; exec sleep 600"
    if rng.random() < 0.3:
        stays = f"trap '' TERM; {note}; while :; do sleep 600; done"
    goes_on = tree(rng, pids, depth=depth - 1, escapes=escapes) if depth > 1 and rng.random() < 0.6 else "wait"
    script = f"sh -c {shlex.quote(stays)} & {goes_on}"
    command = f"sh -c {shlex.quote(script)}"
    line = rng.choice(escapes).format(command, quoted=shlex.quote(shlex.quote(script))[1:-1])
    return f"{line} sleep 600"


WHAT = ("executor", "check", "hook")


class Line:
    """Runs its goal as a shell line."""

    name = "line"

    async def availability(self) -> port.Availability:
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        return port.Launch(argv=("/bin/sh", "-c", task.goal))

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        return port.ExecutorReport(outcome=port.Outcome.SUCCEEDED)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    assert children.become_subreaper()  # As the daemon is; without it a process that left everything behind is lost.
    async with machine_start(
        tmp_path / "home", repository_make(tmp_path / "repository"), executors=executors()
    ) as running:
        yield running


def executors() -> registry.Registry:
    """Those that do as they are told, and one that is whatever a shell makes of a line."""
    return registry.Registry([*fake.fakes_build(starts_file=None), Line()])


async def started(machine: Machine, what: str, line: str) -> tuple[ids.StepId, states.StepState]:
    """A step whose executor, check or hook runs this line, and the state in which it does."""
    if what == "check":
        checks = [{"name": "tree", "command": line}]
        return await machine.submit(executor="fake-success", validations=checks), states.StepState.VALIDATING
    if what == "executor":
        return await machine.submit(executor="line", goal=line), states.StepState.RUNNING
    (machine.root / ".ropeway").mkdir(exist_ok=True)
    (machine.root / ".ropeway/repository.toml").write_text(f"[worktree]\nhook = {json.dumps(line)}\n")
    git(machine.root, "add", ".")
    git(machine.root, "commit", "--quiet", "--message", "a hook")
    return await machine.submit(executor="fake-success"), states.StepState.PREPARING


async def cancelled(machine: Machine, what: str, line: str, pids: Path) -> Step:
    """The step after a cancel that came when its executor, check or hook had started this tree."""
    step_id, state = await started(machine, what, line)
    await machine.until(step_id, state)
    await noted(pids)
    return await cancel(machine, step_id)


async def noted(pids: Path, *, count: int = 1) -> None:
    """Wait until so many processes of the tree have left their pids."""
    async with asyncio.timeout(SETTLES_WITHIN_S):
        while not (pids.exists() and pids.read_text().count("\n") >= count):
            await asyncio.to_thread(Path.exists, pids)


async def cancel(machine: Machine, step_id: ids.StepId) -> Step:
    await machine.cancel(step_id)
    return await machine.until(step_id)


def survivors(pids: Path) -> list[int]:
    return [pid for pid in map(int, pids.read_text().split()) if process_table.started_at(pid) is not None]


async def expect_no_survivor(machine: Machine, what: str, pids: Path, seed: int) -> None:
    line = tree(random.Random(seed), pids)
    step = await cancelled(machine, what, line, pids)
    said = step.failure is not None and step.failure.cause is states.FailureCause.UNCONFIRMED
    assert not survivors(pids) or said, (what, seed, line)
    assert step.state is states.StepState.CANCELLED, (what, seed, line, step.failure)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("what", WHAT)
async def test_no_process_of_an_adversarial_tree_survives_a_cancel(
    machine: Machine, tmp_path: Path, what: str, seed: int
) -> None:
    await expect_no_survivor(machine, what, tmp_path / "pids", seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 200, 40))
@pytest.mark.parametrize("what", WHAT)
async def test_two_hundred_adversarial_trees_leave_no_survivor(
    machine: Machine, tmp_path: Path, what: str, first: int
) -> None:
    for seed in range(first, first + 40):
        await expect_no_survivor(machine, what, tmp_path / f"pids-{seed}", seed)


@pytest.mark.parametrize("what", WHAT)
async def test_a_cancel_that_can_not_be_proven_says_so_and_leaves_the_worktree_to_a_person(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """No process can be made immortal here, so the look at the table is made to find one."""
    unproven(monkeypatch, what)
    pids = tmp_path / "pids"
    step = await cancelled(machine, what, f"echo $$ >>{pids}; sleep 600", pids)
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert step.failure is not None
    assert step.failure.cause is states.FailureCause.UNCONFIRMED
    assert step.failure.detail.startswith("unconfirmed: 1 of ")
    await machine.worktrees_gone()
    assert machine.shop.worktree_path(machine.attempt(step.step_id).attempt_id).is_dir()
    assert (machine.attempt(step.step_id).ref is None) == (what == "hook")


async def test_a_cancelled_attempt_has_the_end_of_its_executor_on_record(tmp_path: Path) -> None:
    """It is given longer than the others, for it does something before it ends."""
    pids, repository = tmp_path / "pids", repository_make(tmp_path / "repository")
    works = "while :; do sleep 0.05; done"
    line = f"trap 'echo cleaned >cleaned.txt; exit 7' TERM; echo $$ >{shlex.quote(str(pids))}; {works}"
    async with machine_start(
        tmp_path / "home", repository, executors=executors(), cancel_grace_s=SETTLES_WITHIN_S
    ) as machine:
        step = await cancelled(machine, "executor", line, pids)
        attempt = machine.attempt(step.step_id)
    assert step.state is states.StepState.CANCELLED
    assert (attempt.exit_code, attempt.signal) == (7, None)


@pytest.mark.parametrize("what", ["check", "hook"])
async def test_what_outlives_its_time_and_can_not_be_ended_is_not_taken_for_over(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    unproven(monkeypatch, what)
    step_id, _ = await started(machine, what, "exit 0")
    step = await machine.until(step_id)
    assert step.state is states.StepState.NEEDS_ATTENTION
    await machine.worktrees_gone()
    assert machine.shop.worktree_path(machine.attempt(step_id).attempt_id).is_dir()


def unproven(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Let nobody be proven to have ended; where it is about a check, the executor before it is."""
    ends = ending.family_end
    proven = ["executor"] if what == "check" else []

    async def someone_stays(family: ending.Family, *, grace_s: float) -> ending.Ended:
        ended = await ends(family, grace_s=grace_s)
        return ended if proven and proven.pop() else ending.Ended(confirmed=False, survivors=(1,))

    monkeypatch.setattr(ending, "family_end", someone_stays)


async def test_a_timeout_ends_the_whole_tree_and_leaves_signed_evidence(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids, timeout_s = tmp_path / "pids", 1800
    waits = latch.RunningProcess.wait

    async def wait(process: latch.RunningProcess, limit_s: float | None) -> children.ExitStatus:
        """Time is up as soon as the tree stands, however busy the machine is."""
        if limit_s != timeout_s:
            return await waits(process, limit_s)
        await noted(pids, count=2)
        return await waits(process, 0)

    monkeypatch.setattr(latch.RunningProcess, "wait", wait)
    stays = f"sh -c {shlex.quote(f'echo $$ >>{shlex.quote(str(pids))}; exec sleep 600')}"
    line = f"echo half >half.txt; setsid {stays} & nohup {stays} >/dev/null 2>&1 & wait"
    step = await machine.until(await machine.submit(executor="line", goal=line, timeout_s=timeout_s))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.TIMEOUT
    assert survivors(pids) == []
    assert git(machine.root, "show", f"{machine.result(step.step_id).ref}:half.txt") == "half\n"
    assert machine.evidence_is_signed(step.step_id)
