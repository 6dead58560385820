"""Results reach a branch of the operator's exactly as agreed, or nothing changes: a real daemon and real git."""

from pathlib import Path
from typing import Any

import pytest

from local_daemon.attempts import selectors as attempts
from local_daemon.config import home as homes
from local_daemon.operations import applications, registry
from local_daemon.operations.context import OperationContext
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import errors, messages, states
from local_daemon.protocol.operations import OPERATIONS
from local_daemon.scheduler import live_logs
from local_daemon.worktrees import applying, configuration, inspection, worktree
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make


class Asker:
    """Asks for applications as the door does."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.context = OperationContext(
            database=machine.shop.database,
            blobs=machine.shop.blobs,
            scheduler=machine.scheduler,
            live_logs=live_logs.LiveLogs(machine.shop),
            instance_view=lambda: None,  # type: ignore[arg-type, return-value]
            inspect_repository=inspection.repository_inspect,
            home=homes.Home(root=machine.shop.home),
        )

    async def work(self, content: str = "new\n", **task: Any) -> str:
        params = {"files": {"file-0.txt": content}}
        step = await self.machine.until(await self.machine.submit(executor="fake-success", params=params, **task))
        await self.machine.worktrees_gone()
        return step.step_id

    async def apply(
        self, step_id: str, *, call_id: str | None = None, **body: Any
    ) -> application_messages.ApplicationView:
        return (await self.answer(step_id, call_id=call_id, **body)).application

    async def answer(
        self, step_id: str, *, call_id: str | None = None, **body: Any
    ) -> application_messages.ApplicationAnswer:
        attempt = self.machine.shop.database.read(lambda conn: attempts.attempt_newest(conn, step_id))
        assert attempt is not None
        answer = await registry.call_operation(
            self.context,
            OPERATIONS["steps.apply"],
            parameters={"repository_id": self.machine.repository_id, "step_id": step_id},
            query=None,
            body=application_messages.StepApply.model_validate({"digest": attempt.patch_sha256, **body}),
            call_id=call_id,
            actor="a person",
        )
        assert isinstance(answer, application_messages.ApplicationAnswer)
        return answer

    async def run_create(self, *, call_id: str) -> None:
        await registry.call_operation(
            self.context,
            OPERATIONS["runs.create"],
            parameters={"repository_id": self.machine.repository_id},
            query=None,
            body=messages.RunCreate(objective="o"),
            call_id=call_id,
            actor="a person",
        )


@pytest.fixture
async def asker(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        yield Asker(machine)


def untouched(root: Path) -> tuple[str, str, str]:
    return git(root, "for-each-ref", "refs/heads"), git(root, "status", "--porcelain"), git(root, "diff")


@pytest.mark.parametrize("mode", ["cherry_pick", "merge"])
async def test_a_result_reaches_the_branch_that_is_checked_out_and_its_files(asker: Asker, mode: str) -> None:
    root = asker.machine.root
    step_id = await asker.work()
    (root / "other.txt").write_text("meanwhile\n")
    git(root, "add", "."), git(root, "commit", "--quiet", "--message", "meanwhile")
    applied = await asker.apply(step_id, mode=mode)
    assert (applied.state, applied.branch) == (states.ApplicationState.APPLIED, "main")
    assert git(root, "rev-parse", "main").strip() == applied.after_commit
    assert (root / "file-0.txt").read_text() == "new\n"
    assert (root / "other.txt").read_text() == "meanwhile\n"
    assert git(root, "status", "--porcelain") == ""
    assert len(git(root, "log", "-1", "--format=%P").split()) == (2 if mode == "merge" else 1)


async def test_applying_again_changes_nothing_and_says_so(asker: Asker) -> None:
    step_id = await asker.work()
    first = await asker.answer(step_id)
    before = untouched(asker.machine.root)
    again = await asker.answer(step_id)
    assert (again.application, again.created) == (first.application, False)
    assert untouched(asker.machine.root) == before


async def test_a_conflict_names_its_paths_and_changes_nothing(asker: Asker) -> None:
    root = asker.machine.root
    step_id = await asker.work()
    (root / "file-0.txt").write_text("theirs\n")
    git(root, "commit", "--quiet", "--all", "--message", "theirs")
    before = untouched(root)
    for mode in ("cherry_pick", "merge"):
        refused = await asker.apply(step_id, mode=mode)
        assert (refused.state, refused.conflicts) == (states.ApplicationState.REFUSED, ("file-0.txt",))
        assert refused.branch == "main"
    assert untouched(root) == before


async def test_a_dirty_checkout_is_never_touched(asker: Asker) -> None:
    root = asker.machine.root
    step_id = await asker.work()
    (root / "file-1.txt").write_text("in the middle of something\n")
    before = untouched(root)
    refused = await asker.apply(step_id)
    assert (refused.state, refused.conflicts) == (states.ApplicationState.REFUSED, ("file-1.txt",))
    assert untouched(root) == before


async def test_an_untracked_file_in_the_way_is_not_overwritten(asker: Asker) -> None:
    root = asker.machine.root
    step = await asker.machine.until(
        await asker.machine.submit(executor="fake-success", params={"files": {"notes.txt": "theirs"}})
    )
    (root / "notes.txt").write_text("mine")
    assert (await asker.apply(step.step_id)).state is states.ApplicationState.REFUSED
    assert (root / "notes.txt").read_text() == "mine"


async def test_a_branch_that_is_not_checked_out_is_moved_alone(asker: Asker) -> None:
    root = asker.machine.root
    git(root, "branch", "release")
    (root / "file-1.txt").write_text("in the middle of something\n")
    applied = await asker.apply(await asker.work(), branch="release")
    assert applied.state is states.ApplicationState.APPLIED
    assert git(root, "show", "release:file-0.txt") == "new\n"
    assert git(root, "show", "main:file-0.txt") == "line 0\n"
    assert (root / "file-1.txt").read_text() == "in the middle of something\n"


async def test_an_export_makes_a_branch_and_never_takes_one(asker: Asker) -> None:
    step_id = await asker.work()
    made = await asker.apply(step_id, mode="export", branch="proposal/one")
    assert made.state is states.ApplicationState.APPLIED
    assert git(asker.machine.root, "show", "proposal/one:file-0.txt") == "new\n"
    assert (await asker.apply(step_id, mode="export", branch="main")).state is states.ApplicationState.REFUSED


async def test_another_digest_is_stale_and_an_unfinished_step_is_not_applied(asker: Asker) -> None:
    step_id = await asker.work()
    with pytest.raises(errors.StaleApproval):
        await asker.apply(step_id, digest="0" * 64)
    failed = await asker.machine.until(await asker.machine.submit(executor="fake-failure"))
    with pytest.raises(errors.InvalidTransition, match="only a completed one"):
        await asker.apply(failed.step_id)


async def test_a_policy_can_ask_for_an_approval_first_or_forbid_it(asker: Asker) -> None:
    for word, said in (("gate", "that a gate has approved"), ("fail", "lets no result")):
        step_id = await asker.work(policy={"apply": word})
        with pytest.raises(errors.InvalidTransition, match=said):
            await asker.apply(step_id)


async def test_what_was_planned_before_a_crash_is_brought_to_its_end(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_id = await asker.work()
    carry_out = applying.application_carry_out

    async def die(root: Path, plan: applying.Plan, *, trusted_root: Path) -> None:
        await carry_out(root, plan, trusted_root=trusted_root)
        raise RuntimeError("died before it could say so")

    call_id = "call_" + "0" * 26
    monkeypatch.setattr(applying, "application_carry_out", die)
    with pytest.raises(RuntimeError):
        await asker.answer(step_id, call_id=call_id)
    monkeypatch.setattr(applying, "application_carry_out", carry_out)
    head = git(asker.machine.root, "rev-parse", "main")
    answer = await asker.answer(step_id, call_id=call_id)
    assert (answer.application.state, answer.created) == (states.ApplicationState.APPLIED, True)
    assert git(asker.machine.root, "rev-parse", "main") == head
    with pytest.raises(errors.IdempotencyConflict):
        await asker.answer(step_id, call_id=call_id, comment="another")


async def planned(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An application that is on record as planned, of which nothing was carried out; its step and its call."""

    async def die(root: Path, plan: applying.Plan, *, trusted_root: Path) -> None:
        raise RuntimeError("died before it began")

    step_id, call_id = await asker.work(), "call_" + "0" * 26
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(applying, "application_carry_out", die)
        await asker.answer(step_id, call_id=call_id)
    return step_id, call_id


async def test_a_start_carries_out_what_was_planned(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    step_id, call_id = await planned(asker, monkeypatch)
    await applications.applications_finish(asker.context)
    assert (asker.machine.root / "file-0.txt").read_text() == "new\n"
    answer = await asker.answer(step_id, call_id=call_id)
    assert answer.application.state is states.ApplicationState.APPLIED
    assert git(asker.machine.root, "rev-parse", "main").strip() == answer.application.after_commit


async def test_a_start_says_why_what_was_planned_can_not_be_carried_out(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_id, call_id = await planned(asker, monkeypatch)
    git(asker.machine.root, "commit", "--quiet", "--allow-empty", "--message", "meanwhile")
    await applications.applications_finish(asker.context)
    refused = (await asker.answer(step_id, call_id=call_id)).application
    assert refused.state is states.ApplicationState.REFUSED
    assert "moved meanwhile" in refused.reason
    assert (asker.machine.root / "file-0.txt").read_text() == "line 0\n"


async def test_a_start_runs_nothing_that_a_changed_configuration_names(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_id, call_id = await planned(asker, monkeypatch)
    root = asker.machine.root
    began_with = await configuration.configuration_trusted(root / ".git")
    git(root, "config", "filter.evil.clean", "touch ran; cat")
    (root / ".git/info/attributes").write_text("* filter=evil\n")
    (root / "file-1.txt").touch()
    await applications.applications_finish(asker.context)
    assert not (root / "ran").exists()
    del began_with
    refused = (await asker.answer(step_id, call_id=call_id)).application
    assert "git configuration was changed" in refused.reason


async def test_a_daemon_that_died_with_the_files_written_moves_the_branch_the_next_time(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_id, call_id = await asker.work(), "call_" + "0" * 26
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(applying, "_branch_move", dying)
        await asker.answer(step_id, call_id=call_id)
    root = asker.machine.root
    assert (root / "file-0.txt").read_text() == "new\n"
    assert git(root, "show", "main:file-0.txt") == "line 0\n"
    await applications.applications_finish(asker.context)
    answer = await asker.answer(step_id, call_id=call_id)
    assert answer.application.state is states.ApplicationState.APPLIED
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "show", "main:file-0.txt") == "new\n"


async def dying(*_: Any) -> None:
    raise RuntimeError("died in between")


async def test_a_branch_that_moves_in_that_moment_keeps_its_files(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, move = asker.machine.root, applying._branch_move
    step_id = await asker.work()

    async def overtaken(place: Any, plan: applying.Plan) -> None:
        other = git(root, "commit-tree", "-p", "main", "-m", "meanwhile", "main^{tree}").strip()
        git(root, "update-ref", "refs/heads/main", other)
        await move(place, plan)

    monkeypatch.setattr(applying, "_branch_move", overtaken)
    refused = await asker.apply(step_id)
    assert refused.state is states.ApplicationState.REFUSED
    assert (root / "file-0.txt").read_text() == "line 0\n"
    assert git(root, "status", "--porcelain") == ""


async def test_a_branch_that_an_attempt_has_checked_out_is_not_moved_under_it(asker: Asker) -> None:
    step_id = await asker.work()
    root = asker.machine.root
    git(root, "branch", "topic")
    place = await worktree.worktree_create(root, path=asker.machine.shop.worktrees / "one", base="HEAD")
    git(place.path, "switch", "--quiet", "topic")
    refused = await asker.apply(step_id, branch="topic")
    assert "in the worktree of an attempt" in refused.reason
    assert (place.path / "file-0.txt").read_text() == "line 0\n"
    await worktree.worktree_discard(root, path=place.path)


async def test_a_checkout_in_the_middle_of_a_merge_stays_so(asker: Asker) -> None:
    step_id = await asker.work()
    root = asker.machine.root
    git(root, "checkout", "--quiet", "-b", "side")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "side")
    git(root, "checkout", "--quiet", "main")
    git(root, "merge", "--quiet", "--no-ff", "--no-commit", "side")
    refused = await asker.apply(step_id)
    assert "in the middle of something" in refused.reason
    assert (root / ".git/MERGE_HEAD").exists()


async def test_a_shallow_clone_is_applied_to_as_well(tmp_path: Path) -> None:
    origin = repository_make(tmp_path / "origin")
    for number in range(3):
        git(origin, "commit", "--quiet", "--allow-empty", "--message", f"{number}")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{origin}", "shallow")
    async with machine_start(tmp_path / "home", tmp_path / "shallow") as machine:
        asker = Asker(machine)
        step_id = await asker.work()
        git(machine.root, "commit", "--quiet", "--allow-empty", "--message", "meanwhile")
        applied = await asker.apply(step_id, mode="merge")
        assert applied.state is states.ApplicationState.APPLIED, applied
        assert (machine.root / "file-0.txt").read_text() == "new\n"


async def test_a_key_of_another_operation_is_a_conflict_and_so_is_the_reverse(asker: Asker) -> None:
    step_id = await asker.work()
    before = untouched(asker.machine.root)
    taken, applied = "call_" + "0" * 26, "call_" + "1" * 26
    await asker.run_create(call_id=taken)
    with pytest.raises(errors.IdempotencyConflict):
        await asker.answer(step_id, call_id=taken)
    assert untouched(asker.machine.root) == before
    await asker.answer(step_id, call_id=applied)
    with pytest.raises(errors.IdempotencyConflict):
        await asker.run_create(call_id=applied)


@pytest.mark.parametrize("is_there_already", [False, True])
async def test_a_repeated_call_brings_nothing_back_that_a_person_took_off_the_branch(
    asker: Asker, is_there_already: bool
) -> None:
    root, step_id, call_id = asker.machine.root, await asker.work(), "call_" + "0" * 26
    if is_there_already:
        await asker.answer(step_id)
    first = await asker.answer(step_id, call_id=call_id)
    assert first.created is not is_there_already
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    before = untouched(root)
    assert await asker.answer(step_id, call_id=call_id) == first
    assert untouched(root) == before
    assert (await asker.answer(step_id)).created


async def test_a_repeated_call_is_turned_away_as_before(asker: Asker) -> None:
    root, step_id, call_id = asker.machine.root, await asker.work(), "call_" + "0" * 26
    for _ in range(2):
        with pytest.raises(errors.StaleApproval):
            await asker.answer(step_id, call_id=call_id, digest="0" * 64)
    with pytest.raises(errors.IdempotencyConflict):  # The answer is the call's by now, whatever it would be now.
        await asker.answer(step_id, call_id=call_id)
    (root / "file-0.txt").write_text("theirs\n")
    refused = await asker.answer(step_id, call_id="call_" + "1" * 26)
    git(root, "checkout", "--quiet", "file-0.txt")
    assert refused.application.state is states.ApplicationState.REFUSED
    assert await asker.answer(step_id, call_id="call_" + "1" * 26) == refused


async def test_a_key_is_free_again_once_its_answer_is_forgotten(asker: Asker) -> None:
    root, step_id, call_id = asker.machine.root, await asker.work(), "call_" + "0" * 26
    first = await asker.answer(step_id, call_id=call_id)
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    await asker.context.database.write(
        "age", lambda tx: tx.execute("UPDATE calls SET at = ?", ("2001-01-01T00:00:00.000000+00:00",))
    )
    again = await asker.answer(step_id, call_id=call_id, comment="anew")
    assert (again.created, again.application.state) == (True, states.ApplicationState.APPLIED)
    assert again.application.application_id != first.application.application_id
