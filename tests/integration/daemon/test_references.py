"""References to results go by the operator's retention, never before their evidence: a real record and real git."""

import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_daemon.protocol import states
from local_daemon.scheduler import conclusion, kept_references, leftovers, retention
from local_daemon.storage import event_log
from local_daemon.worktrees import configuration
from tests.integration.daemon.keeper import Keeper
from tests.integration.daemon.machine import git, machine_start, repository_make


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        yield Keeper(machine=machine, validations=({"name": "leaves", "command": "echo more >> file-1.txt"},))


async def test_a_reference_goes_with_its_leftover_once_its_evidence_has_gone_and_the_result_names_none(
    keeper: Keeper,
) -> None:
    step_id = await keeper.work()
    ref = keeper.machine.result(step_id).ref
    assert keeper.refs() == [ref, f"{ref}-leftover"]
    assert (await keeper.collect(refs_days=1, evidence_days=None)).refs == 0
    assert (await keeper.collect(refs_days=1, evidence_days=90)).refs == 1
    assert keeper.refs() == []
    assert keeper.machine.result(step_id).ref is None
    assert (await keeper.collect(refs_days=1, evidence_days=90)).refs == 0


async def test_a_reference_of_kept_evidence_an_open_run_or_too_young_never_goes(keeper: Keeper) -> None:
    await keeper.work("open\n", closes=False)
    rules: dict[str, Any] = {"refs_days": 0, "refs_max": 0, "evidence_days": 1, "evidence_days_min": 30}
    assert (await keeper.collect(**rules)).refs == 0
    await keeper.work("young\n")
    assert (await keeper.collect(**rules, later=timedelta(days=29))).refs == 0
    assert (await keeper.collect(refs_days=0, refs_max=0, evidence_days=None)).refs == 0
    assert len(keeper.refs()) == 4
    assert (await keeper.collect(**rules, later=timedelta(days=31))).refs == 1


@pytest.mark.parametrize(
    "missing",
    ["head_commit", "patch_artifact_id"],
    ids=["what a given-up attempt changed", "changes too large for a patch"],
)
async def test_the_only_copy_never_goes(keeper: Keeper, missing: str) -> None:
    step_id = await keeper.work()
    await keeper.machine.shop.database.write(
        "attempt_kept", lambda tx: tx.execute(f"UPDATE attempts SET {missing} = NULL WHERE step_id = ?", (step_id,))
    )
    assert (await keeper.collect(refs_days=1, refs_max=0, evidence_days=1)).refs == 0
    assert len(keeper.refs()) == 2


async def test_beyond_a_number_the_oldest_go(keeper: Keeper) -> None:
    steps = [await keeper.work(f"{number}\n") for number in range(4)]
    assert (await keeper.collect(refs_max=4, evidence_days=1)).refs == 0
    assert (await keeper.collect(refs_max=3, evidence_days=1)).refs == 1
    assert [keeper.machine.result(step_id).ref is None for step_id in steps] == [True, False, False, False]


async def test_a_dry_run_says_how_many_would_go_and_takes_none(keeper: Keeper) -> None:
    await keeper.work()
    await keeper.collect(evidence_days=1)
    assert (await keeper.collect(refs_days=1, evidence_days=1, dry_run=True)).refs == 1
    assert len(keeper.refs()) == 2


async def test_what_went_is_told_and_what_stays_of_it_still_verifies(keeper: Keeper) -> None:
    step_id = await keeper.work()
    ref = keeper.machine.result(step_id).ref
    await keeper.collect(refs_days=1, evidence_days=1)
    database, repository_id = keeper.machine.shop.database, keeper.machine.repository_id
    told = database.read(lambda conn: event_log.events_after(conn, repository_id, 0, 1000))[-1]
    assert (told.type, told.step_id, told.data["evidence"]["ref"]) == ("evidence.expired", step_id, ref)
    assert [finding for finding in keeper.verify().findings if "artifact" in finding or "ref" in finding] == []


def missed(keeper: Keeper) -> tuple[str, ...]:
    return kept_references.references_missed(keeper.machine.shop.home / "record.sqlite3")


async def test_a_reference_is_missed_where_somebody_took_it_away_or_moved_it(keeper: Keeper) -> None:
    git_dir = keeper.machine.root / ".git"
    first, second = await keeper.work(), await keeper.work("other\n")
    ids_of = {step_id: keeper.machine.attempt(step_id).attempt_id for step_id in (first, second)}
    refs = {step_id: keeper.machine.result(step_id).ref for step_id in (first, second)}
    assert missed(keeper) == ()
    git(keeper.machine.root, "pack-refs", "--all", "--prune")
    assert missed(keeper) == ()
    git(keeper.machine.root, "update-ref", str(refs[first]), "HEAD")
    said = "is gone or names another commit"
    assert missed(keeper) == (f"the changes of {ids_of[first]}: {refs[first]} {said}",)
    shutil.rmtree(git_dir / "refs/ropeway")
    (git_dir / "packed-refs").unlink()
    assert missed(keeper) == tuple(f"the changes of {ids_of[each]}: {refs[each]} {said}" for each in (first, second))
    git_dir.rename(git_dir.with_name("moved"))
    assert missed(keeper) == ()  # The repository is not there, which is another thing to say.


async def test_a_reference_that_retention_let_go_is_not_missed(keeper: Keeper) -> None:
    await keeper.work()
    await keeper.collect(refs_days=1, evidence_days=1)
    assert (keeper.refs(), missed(keeper)) == ([], ())


async def test_a_reference_that_somebody_has_moved_since_stays(keeper: Keeper) -> None:
    step_id = await keeper.work()
    ref = keeper.machine.result(step_id).ref
    assert ref is not None
    git(keeper.machine.root, "update-ref", ref, "HEAD")
    await keeper.collect(refs_days=1, evidence_days=1)
    assert keeper.refs() == [ref]


async def test_a_leftover_that_somebody_has_moved_since_stays(keeper: Keeper) -> None:
    leftover = f"{keeper.machine.result(await keeper.work()).ref}-leftover"
    git(keeper.machine.root, "update-ref", leftover, "HEAD")
    await keeper.collect(refs_days=1, evidence_days=1)
    assert keeper.refs() == [leftover]


async def test_objects_that_nothing_reaches_go_after_their_time_unless_an_attempt_is_at_work(keeper: Keeper) -> None:
    step_id = await keeper.work("only here\n")
    root = keeper.machine.root
    head = keeper.machine.attempt(step_id).head_commit
    retained = keeper.keeper(refs_days=1, evidence_days=1)
    await retained.collect(dry_run=False)
    at_work = await configuration.configuration_trusted(root / ".git")
    for path in (root / ".git/objects").glob("??/*"):
        os.utime(path, (0, 0))
    await retained.prune()
    git(root, "cat-file", "-e", f"{head}")
    del at_work
    await retained.prune()
    assert not (root / f".git/objects/{head[:2]}/{head[2:]}").exists()  # type: ignore[index]
    git(root, "fsck", "--strict")
    assert git(root, "status", "--porcelain") == ""


async def test_references_and_objects_go_from_the_repository_wherever_a_commondir_leads(
    keeper: Keeper, tmp_path: Path
) -> None:
    await keeper.work("only here\n")
    root, elsewhere = keeper.machine.root, tmp_path / "elsewhere"
    shutil.copytree(root / ".git", elsewhere)
    (root / ".git/commondir").write_text(f"{elsewhere}\n")
    retained = keeper.keeper(refs_days=1, evidence_days=1)
    assert (await retained.collect(dry_run=False)).refs == 1
    await retained.prune()
    (root / ".git/commondir").unlink()
    assert keeper.refs() == []
    assert len(git(elsewhere, "for-each-ref", "refs/ropeway").splitlines()) == 2
    git(elsewhere, "fsck", "--strict")


async def test_a_lock_that_a_killed_git_left_keeps_no_reference_for_ever(keeper: Keeper) -> None:
    refs = [keeper.machine.result(await keeper.work(content)).ref for content in ("one\n", "two\n")]
    lock = keeper.machine.root / f".git/{refs[0]}.lock"
    lock.touch()
    assert (await keeper.collect(refs_days=1, evidence_days=1)).refs == 2
    assert keeper.refs() == []
    assert list((keeper.machine.root / ".git/refs/ropeway").iterdir()) == []


async def test_a_lock_of_the_repository_itself_is_not_ours_to_take(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    await keeper.work()
    git(keeper.machine.root, "pack-refs", "--all")
    lock = keeper.machine.root / ".git/packed-refs.lock"
    lock.touch()
    await keeper.collect(refs_days=1, evidence_days=1)
    assert "references left" in caplog.messages
    assert lock.exists()
    lock.unlink()
    await keeper.collect(refs_days=1, evidence_days=1)
    assert keeper.refs() == []


async def test_of_worktrees_that_somebody_deleted_their_repository_keeps_nothing(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked entry is never pruned by git."""
    with monkeypatch.context() as patched:
        patched.setattr(conclusion, "worktree_clear", died)
        await keeper.work()
    machine = keeper.machine
    assert len(list((machine.root / ".git/worktrees").iterdir())) == 1
    shutil.rmtree(machine.shop.worktrees)
    await leftovers.worktrees_sweep(machine.shop)
    assert list((machine.root / ".git/worktrees").iterdir()) == []


async def test_a_daemon_that_dies_in_between_goes_on_with_it(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    await keeper.work()
    retained = keeper.keeper(refs_days=1, evidence_days=1)
    with monkeypatch.context() as patched:
        patched.setattr(retention.pruning, "refs_remove", died)
        await retained.collect(dry_run=False)
    assert len(keeper.refs()) == 2
    await keeper.collect(refs_days=1, evidence_days=1)
    assert keeper.refs() == []


async def died(*_: Any, **__: Any) -> None:
    raise OSError("the daemon is gone")


async def test_references_that_a_check_deleted_are_written_again(tmp_path: Path) -> None:
    repository = repository_make(tmp_path / "repository")
    all_there = "test $(git for-each-ref refs/ropeway | wc -l) = 3"
    every = "git for-each-ref --format='delete %(refname)' refs/ropeway | git update-ref --stdin"
    async with machine_start(tmp_path / "home", repository) as machine:
        attempts = []
        for _ in range(2):
            step_id = await machine.submit(executor="fake-success")
            assert (await machine.until(step_id)).state is states.StepState.COMPLETED
            attempts.append(machine.attempt(step_id))
        moved = attempts.pop(0).ref
        mischief = {"name": "mischief", "command": f"{all_there} && {every} && git update-ref {moved} HEAD"}
        step_id = await machine.submit(executor="fake-success", validations=[mischief])
        assert (await machine.until(step_id)).state is states.StepState.COMPLETED
        for attempt in (*attempts, machine.attempt(step_id)):
            assert git(repository, "rev-parse", attempt.ref or "").strip() == attempt.head_commit
        # What names something else by now is somebody else's, and told by `ropeway verify`.
        assert git(repository, "rev-parse", moved or "") == git(repository, "rev-parse", "HEAD")
