"""A place that is taken again holds what the attempt before left there until that is recorded: no edit is lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_daemon.attempts.records import Attempt
from local_daemon.conversations import selectors as conversations
from local_daemon.conversations import services as talks
from local_daemon.executors import port, registry
from local_daemon.processes import children, ending
from local_daemon.protocol import ids, specs, states
from local_daemon.runs import services as runs
from local_daemon.scheduler import execution, leftovers, recovery, retention
from local_daemon.steps import services as steps
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make


class Worker:
    """Runs its goal as a shell line, in one thread for ever; asks first where it is told to."""

    name = "worker"

    async def availability(self) -> port.Availability:
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        return port.Launch(argv=("/bin/sh", "-c", task.answer or task.goal))

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        asks = task.params.get("asks") and task.answer is None
        return port.ExecutorReport(
            outcome=port.Outcome.QUESTION if asks else port.Outcome.SUCCEEDED,
            questions=("which?",) if asks else (),
            thread_id="thread",
            usage=port.Usage(output_tokens=1),
        )


class Talk:
    """One conversation on a machine."""

    def __init__(self, machine: Machine, conversation_id: ids.ConversationId) -> None:
        self.machine = machine
        self.conversation_id = conversation_id

    async def say(self, line: str) -> ids.StepId:
        """Let the next turn run this."""

        def apply(tx: Any) -> ids.StepId:
            conversation = conversations.conversation_get(
                tx.connection, self.conversation_id, repository_id=self.machine.repository_id
            )
            task = specs.TaskSpec(goal=line, executor="worker")
            return talks.conversation_say(tx, conversation=conversation, task=task, policies=()).step_id

        return await self.machine.shop.database.write("conversation_say", apply)


async def talk_begin(machine: Machine) -> Talk:
    begun = await machine.shop.database.write(
        "conversation_begin",
        lambda tx: talks.conversation_begin(
            tx, repository_id=machine.repository_id, executor="worker", profile=None, title=None, base=None
        ),
    )
    return Talk(machine, begun.conversation_id)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return repository_make(tmp_path / "repository")


@pytest.fixture
async def machine(tmp_path: Path, repository: Path) -> AsyncIterator[Machine]:
    async with machine_start(tmp_path / "home", repository, executors=registry.Registry([Worker()])) as running:
        yield running


def submodule_add(tmp_path: Path, repository: Path) -> None:
    library = repository_make(tmp_path / "library")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repository, "commit", "--quiet", "--message", "with a submodule")


async def resolve(machine: Machine, step_id: ids.StepId, resolution: Any, *, is_kept: bool = True) -> None:
    """A person's word on it; without `is_kept` as if its edits could not be recorded at that time."""
    kept_at = await machine.scheduler.edits_record(step_id) if is_kept else None

    def apply(tx: Any) -> None:
        step = steps.step_resolve(tx, step_id=step_id, resolution=resolution, comment="", kept_at=kept_at)
        if resolution == "retry":
            runs.run_reopen(tx, run_id=step.run_id)
        else:
            runs.run_refresh(tx, run_id=step.run_id)

    await machine.shop.database.write("step_resolve", apply)


UNRECORDED = "echo precious >unrecorded.txt; exec sleep 600"


async def lost(machine: Machine, step_id: ids.StepId) -> None:
    """Let nobody be able to tell what became of the step that works: its attempt is given up, its worktree stays."""
    await machine.until(step_id, states.StepState.RUNNING)
    written = machine.shop.worktree_path(machine.attempt(step_id).attempt_id) / "unrecorded.txt"
    async with asyncio.timeout(20):
        while not (written.exists() and written.read_text()):
            await asyncio.to_thread(written.exists)
    await recovery.step_lost(machine.shop, step_id, epoch=machine.attempt(step_id).epoch)
    await machine.worktrees_gone()
    assert machine.step(step_id).state is states.StepState.NEEDS_ATTENTION


def kept(machine: Machine, left: Attempt) -> str:
    """What is recorded of the file that the attempt left behind."""
    return git(machine.root, "show", f"refs/ropeway/{left.run_id}/{left.step_id}/{left.attempt_id}:unrecorded.txt")


async def test_a_turn_after_a_lost_one_works_where_it_did_and_its_edits_are_kept(machine: Machine) -> None:
    talk = await talk_begin(machine)
    await machine.until(await talk.say("echo one >said.txt"))
    await machine.worktrees_gone()
    second = await talk.say(UNRECORDED)
    await lost(machine, second)
    left = machine.attempt(second)
    assert left.head_commit is None
    await resolve(machine, second, "failed", is_kept=False)
    third = await machine.until(await talk.say("echo three >>said.txt"))
    assert (third.state, third.failure) == (states.StepState.COMPLETED, None)
    assert kept(machine, left) == "precious\n"
    assert git(machine.root, "show", f"{machine.result(third.step_id).ref}:said.txt") == "one\nthree\n"
    await machine.worktrees_gone()
    assert not list(machine.shop.worktrees.glob("att_*/"))


async def test_an_answered_step_that_was_lost_and_is_tried_again_keeps_what_was_lost(machine: Machine) -> None:
    """The files that git ignores go on to the next attempt as well."""
    (machine.root / ".git/info/exclude").write_text("*.log\n")
    step_id = await machine.submit(executor="worker", goal="printf x >>turns.log", params={"asks": True})
    waiting = await machine.until(step_id)
    await machine.worktrees_gone()
    await machine.answer(waiting, f"printf x >>turns.log; {UNRECORDED}")
    await lost(machine, step_id)
    left = machine.attempt(step_id)
    await resolve(machine, step_id, "retry", is_kept=False)
    await machine.until(step_id, states.StepState.RUNNING)
    again = machine.attempt(step_id)
    assert machine.shop.worktree_path(again.attempt_id) == machine.shop.worktree_path(left.attempt_id)
    assert kept(machine, left) == "precious\n"
    log = machine.shop.worktree_path(again.attempt_id) / "turns.log"
    async with asyncio.timeout(20):
        while not (log.exists() and log.read_text() == "xxx"):
            await asyncio.to_thread(log.exists)
    await machine.cancel(step_id)
    await machine.until(step_id)


async def test_a_turn_after_changes_of_a_submodule_fails_naming_who_left_them_and_takes_nothing_away(
    tmp_path: Path, repository: Path
) -> None:
    submodule_add(tmp_path, repository)
    executors = registry.Registry([Worker()])
    async with machine_start(tmp_path / "home", repository, executors=executors) as machine:
        talk = await talk_begin(machine)
        first = await machine.until(await talk.say("echo precious >lib/unrecorded.txt"))
        assert first.failure is not None and first.failure.kind is states.FailureKind.ARTIFACT
        left = machine.attempt(first.step_id)
        await machine.worktrees_gone()
        second = await machine.until(await talk.say("echo two >said.txt"))
        assert second.failure is not None
        assert second.failure.kind is states.FailureKind.WORKSPACE
        assert f"{left.attempt_id} of {first.step_id}" in second.failure.detail
        await machine.worktrees_gone()
        file = machine.shop.worktree_path(left.attempt_id) / "lib/unrecorded.txt"
        assert file.read_text() == "precious\n"
        await leftovers.worktrees_sweep(machine.shop)
        assert file.read_text() == "precious\n"


async def test_an_attempt_that_never_got_its_place_leaves_it_to_whoever_worked_there(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon dies with the turn leased and the place not cleared yet."""
    submodule_add(tmp_path, repository)
    executors = registry.Registry([Worker()])
    async with machine_start(tmp_path / "home", repository, executors=executors) as machine:
        talk = await talk_begin(machine)
        first = await machine.until(await talk.say("echo precious >lib/unrecorded.txt"))
        left = machine.attempt(first.step_id)
        await machine.worktrees_gone()
        never = asyncio.Event()
        with monkeypatch.context() as patch:
            patch.setattr(execution.clearing, "place_clear", lambda *_: never.wait())
            second = await talk.say("echo two >said.txt")
            await machine.until(second, states.StepState.PREPARING)
            await machine.crash()
    async with machine_start(tmp_path / "home", repository, executors=executors) as machine:
        step = await machine.until(second)
        assert step.failure is not None and left.attempt_id in step.failure.detail
        await machine.worktrees_gone()
        assert (machine.shop.worktree_path(left.attempt_id) / "lib/unrecorded.txt").read_text() == "precious\n"


async def test_a_place_in_which_somebody_may_still_work_is_not_taken(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = await talk_begin(machine)
    await machine.until(await talk.say("echo one >said.txt"))
    await machine.worktrees_gone()
    second = await talk.say(UNRECORDED)
    await lost(machine, second)
    left = machine.attempt(second)
    await resolve(machine, second, "failed")

    async def someone_stays(family: ending.Family, *, grace_s: float) -> ending.Ended:
        return ending.Ended(confirmed=family.attempt_id != left.attempt_id, survivors=(1,))

    monkeypatch.setattr(ending, "family_end", someone_stays)
    third = await machine.until(await talk.say("echo three >>said.txt"))
    assert third.failure is not None and "still run there" in third.failure.detail
    assert (machine.shop.worktree_path(left.attempt_id) / "unrecorded.txt").exists()


async def test_resolving_a_step_keeps_what_it_had_changed_and_says_where(machine: Machine) -> None:
    step_id = await machine.submit(executor="worker", goal=UNRECORDED)
    await lost(machine, step_id)
    await resolve(machine, step_id, "failed")
    ref = machine.attempt(step_id).ref
    assert ref is not None
    assert git(machine.root, "show", f"{ref}:unrecorded.txt") == "precious\n"
    assert any(ref in warning for warning in machine.step(step_id).warnings)
    assert machine.shop.worktree_path(machine.attempt(step_id).attempt_id).is_dir()


async def test_a_worktree_whose_edits_were_kept_goes_in_its_time_and_what_was_kept_never(machine: Machine) -> None:
    step_id = await machine.submit(executor="worker", goal=UNRECORDED)
    await lost(machine, step_id)
    await resolve(machine, step_id, "failed")
    left = machine.attempt(step_id)
    await machine.shop.database.write("run_close", lambda tx: runs.run_close(tx, run_id=left.run_id))
    keeper = retention.Retention(
        shop=machine.shop,
        rules=retention.Rules(worktrees_days=1, refs_days=0, refs_max=0, evidence_days=0),
        clock=lambda: datetime.now(UTC) + timedelta(days=100),
    )
    view = await keeper.collect(dry_run=False)
    assert (view.worktrees, view.worktrees_kept, view.refs) == (1, (), 0)
    assert not machine.shop.worktree_path(left.attempt_id).exists()
    assert kept(machine, left) == "precious\n"


async def test_a_turn_said_at_once_waits_until_the_one_before_has_left_its_place(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = await talk_begin(machine)
    may_go, clears = asyncio.Event(), execution.conclusion.worktree_clear

    async def late(*arguments: Any, **named: Any) -> None:
        await may_go.wait()
        await clears(*arguments, **named)

    monkeypatch.setattr(execution.conclusion, "worktree_clear", late)
    await machine.until(await talk.say("echo one >said.txt"))
    second = await talk.say("echo two >>said.txt")
    await machine.until(second, states.StepState.PREPARING)
    may_go.set()
    step = await machine.until(second)
    assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
    assert git(machine.root, "show", f"{machine.result(second).ref}:said.txt") == "one\ntwo\n"
