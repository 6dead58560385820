"""A cancel ends everything an attempt started, or says that it could not prove it.

The executor's check is the adversary: trees of processes that leave their session, their parents, their group, that are
deaf to SIGTERM, and that keep starting more. Each process leaves its pid, so survivors are counted, not believed.
"""

import asyncio
import random
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_daemon.processes import children, ending, process_table
from local_daemon.protocol import states
from local_daemon.steps import services as steps
from tests.integration.daemon.machine import Machine, machine_start, repository_make

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


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    assert children.become_subreaper()  # As the daemon is; without it a process that left everything behind is lost.
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as running:
        yield running


async def cancelled(machine: Machine, line: str, pids: Path) -> tuple[states.StepState, str]:
    """The state of a step after a cancel that came when its check had started this tree."""
    step_id = await machine.submit(executor="fake-success", validations=[{"name": "tree", "command": line}])
    await machine.until(step_id, states.StepState.VALIDATING)
    async with asyncio.timeout(20):
        while not (pids.exists() and pids.read_text().endswith("\n")):
            await asyncio.to_thread(Path.exists, pids)
    await machine.shop.database.write(
        "step_cancel", lambda tx: steps.step_cancel_request(tx, step_id=step_id, reason="enough")
    )
    machine.scheduler.cancel(step_id)
    step = await machine.until(step_id)
    return step.state, "" if step.failure is None else step.failure.detail


def survivors(pids: Path) -> list[int]:
    return [pid for pid in map(int, pids.read_text().split()) if process_table.started_at(pid) is not None]


async def expect_no_survivor(machine: Machine, pids: Path, seed: int) -> None:
    line = tree(random.Random(seed), pids)
    state, detail = await cancelled(machine, line, pids)
    assert not survivors(pids) or "could not be ended" in detail, (seed, line)
    assert state is states.StepState.CANCELLED, (seed, line, detail)


@pytest.mark.parametrize("seed", range(8))
async def test_no_process_of_an_adversarial_tree_survives_a_cancel(machine: Machine, tmp_path: Path, seed: int) -> None:
    await expect_no_survivor(machine, tmp_path / "pids", seed)


@pytest.mark.long
async def test_two_hundred_adversarial_trees_leave_no_survivor(machine: Machine, tmp_path: Path) -> None:
    for seed in range(200):
        await expect_no_survivor(machine, tmp_path / f"pids-{seed}", seed)


async def test_a_cancel_that_can_not_be_proven_says_so_and_asks_for_a_person(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process can be made immortal here, so the look at the table is made to find one."""
    step_id = await machine.submit(executor="fake-timeout")
    await machine.until(step_id, states.StepState.RUNNING)
    ends = ending.family_end

    async def someone_stays(family: ending.Family, *, grace_s: float) -> ending.Ended:
        await ends(family, grace_s=grace_s)
        return ending.Ended(confirmed=False, survivors=(1,))

    monkeypatch.setattr(ending, "family_end", someone_stays)
    await machine.shop.database.write(
        "step_cancel", lambda tx: steps.step_cancel_request(tx, step_id=step_id, reason="enough")
    )
    machine.scheduler.cancel(step_id)
    step = await machine.until(step_id)
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert step.failure is not None
    assert step.failure.detail.startswith("unconfirmed: 1 of its processes")
    assert machine.attempt(step_id).ref is not None
