"""What goes by the operator's retention, and what never does: a real record, real files and real git."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_daemon.artifacts import selectors as artifacts
from local_daemon.runs import services as runs
from local_daemon.scheduler import retention
from local_daemon.steps import services as steps
from local_daemon.storage import event_log
from local_daemon.worktrees import changes, worktree
from tests.integration.daemon.keeper import LATER, Keeper
from tests.integration.daemon.machine import git, machine_start, repository_make
from tests.integration.daemon.shell import Operator


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    root = repository_make(tmp_path / "repository")
    (root / ".gitignore").write_text("*.log\n")
    git(root, "add", "."), git(root, "commit", "--quiet", "--message", "ignore")
    async with machine_start(tmp_path / "home", root) as machine:
        yield Keeper(machine=machine, files={"out.log": "ignored\n"})


async def test_evidence_goes_by_its_age_and_its_manifest_stays(keeper: Keeper) -> None:
    step_id = await keeper.work()
    assert (await keeper.collect(evidence_days=90, later=timedelta(days=89))).artifacts == 0
    view = await keeper.collect(evidence_days=90)
    assert view.artifacts == 2
    assert keeper.expired(step_id) == {"patch": True, "stdout": True, "manifest": False}
    assert not keeper.exists(keeper.machine.result(step_id).patch)
    report = keeper.verify()
    assert report.artifacts_expired == 2
    assert [finding for finding in report.findings if finding.startswith("artifact")] == []
    assert (await keeper.collect(evidence_days=90)).artifacts == 0


async def test_what_went_is_told_in_the_event_log(keeper: Keeper) -> None:
    step_id = await keeper.work()
    await keeper.collect(evidence_days=90)
    database, repository_id = keeper.machine.shop.database, keeper.machine.repository_id
    told = database.read(lambda conn: event_log.events_after(conn, repository_id, 0, 1000))[-1]
    assert (told.type, told.step_id) == ("evidence.expired", step_id)
    assert (told.data["evidence"]["artifacts"], told.data["evidence"]["reason"]) == (2, "age")
    assert database.read(lambda conn: event_log.log_verify(conn, repository_id)).holds


async def test_nothing_of_an_open_run_goes(keeper: Keeper) -> None:
    step_id = await keeper.work(closes=False)
    view = await keeper.collect(evidence_days=1, evidence_bytes=0, ignored_days=0, ignored_bytes=0)
    assert (view.artifacts, view.archives) == (0, 0)
    assert keeper.exists(keeper.machine.result(step_id).patch)


async def test_what_waits_with_a_step_of_an_open_run_for_an_answer_stays(keeper: Keeper) -> None:
    aside = keeper.machine.shop.aside_path(await keeper.work(closes=False))
    (aside / "0").mkdir(parents=True)
    (aside / "0/package").write_text("x")
    await keeper.collect(ignored_days=0, ignored_bytes=0)
    assert (aside / "0/package").exists()


async def test_nothing_too_young_goes_however_much_there_is(keeper: Keeper) -> None:
    await keeper.work()
    rules = {"evidence_bytes": 0, "evidence_days": 1, "evidence_days_min": 30}
    assert (await keeper.collect(**rules, later=timedelta(days=29))).artifacts == 0
    assert (await keeper.collect(**rules, later=timedelta(days=31))).artifacts == 2


async def test_beyond_a_size_the_oldest_goes_and_no_more_than_it_takes(keeper: Keeper) -> None:
    old = await keeper.work("x" * 5000)
    new = await keeper.work("y" * 5000)
    total = (await keeper.collect(dry_run=True)).evidence_bytes
    view = await keeper.collect(evidence_bytes=total - 1)
    assert view.evidence_bytes < total
    assert any(keeper.expired(old).values())
    assert not any(keeper.expired(new).values())


async def test_bytes_that_other_evidence_needs_stay(keeper: Keeper) -> None:
    old = await keeper.work(closes=True)
    new = await keeper.work(closes=False)
    assert keeper.machine.result(old).patch.sha256 == keeper.machine.result(new).patch.sha256  # type: ignore[union-attr]
    await keeper.collect(evidence_days=90)
    assert keeper.expired(old)["patch"]
    assert keeper.exists(keeper.machine.result(new).patch)


async def test_bytes_that_were_just_kept_again_are_not_taken_away(keeper: Keeper) -> None:
    step_id = await keeper.work()
    sha256 = keeper.machine.result(step_id).patch.sha256  # type: ignore[union-attr]
    content = keeper.machine.shop.blobs.blob_read(sha256)
    keeper.machine.shop.blobs.blob_put_bytes(content)
    assert not keeper.machine.shop.blobs.blob_remove(sha256)
    os.utime(next((keeper.machine.shop.home / "artifacts").rglob(sha256[2:])), (0, 0))
    keeper.machine.shop.blobs.blob_put_bytes(content)
    assert not keeper.machine.shop.blobs.blob_remove(sha256)


async def test_a_dry_run_lets_nothing_go_and_says_what_would(keeper: Keeper) -> None:
    step_id = await keeper.work()
    rules = {"evidence_days": 90, "ignored_days": 0}
    told = await keeper.collect(**rules, dry_run=True)
    assert not any(keeper.expired(step_id).values())
    done = await keeper.collect(**rules)
    assert (told.artifacts, told.artifact_bytes, told.archives) == (done.artifacts, done.artifact_bytes, done.archives)


async def test_ignored_files_go_by_age_and_beyond_a_size(keeper: Keeper) -> None:
    for number in range(3):
        await keeper.work(f"{number}\n")
    archives = sorted((keeper.machine.shop.ignored_root).glob("*.tar"))
    assert len(archives) == 3
    for number, path in enumerate(archives):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    size = archives[0].stat().st_size
    assert (await keeper.collect(ignored_days=None, ignored_bytes=2 * size)).archives == 1
    assert [path.exists() for path in archives] == [False, True, True]
    assert (await keeper.collect(ignored_days=14)).archives == 2


async def test_a_worktree_left_behind_goes_when_it_is_clean_and_stays_when_it_is_not(keeper: Keeper) -> None:
    shop, root = keeper.machine.shop, keeper.machine.root
    step_id = await keeper.work()
    attempt = keeper.machine.attempt(step_id)
    place = await worktree.worktree_create(root, path=shop.worktree_path(attempt.attempt_id), base=attempt.head_commit)
    (place.path / "unrecorded.txt").write_text("mine")
    kept = await keeper.collect(worktrees_days=7)
    assert [each.reason for each in kept.worktrees_kept] == ["it holds changes that are not recorded"]
    assert (place.path / "unrecorded.txt").exists()
    (place.path / "unrecorded.txt").unlink()
    assert (await keeper.collect(worktrees_days=7, later=timedelta(0))).worktrees == 0
    assert (await keeper.collect(worktrees_days=7, dry_run=True)).worktrees == 1
    assert (await keeper.collect(worktrees_days=7)).worktrees == 1
    assert not place.path.exists()
    assert "att_" not in git(root, "worktree", "list")


@pytest.mark.parametrize(
    ("rules", "later", "reason"),
    [
        ({"worktrees_days": 7}, timedelta(days=6), "for as long as your [retention] keeps worktrees"),
        ({"worktrees_days": None}, LATER, "lets no worktree go"),
    ],
    ids=["young", "never"],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_worktree_that_may_not_go_yet_is_named_with_why(
    keeper: Keeper, rules: dict[str, Any], later: timedelta, reason: str, dry_run: bool
) -> None:
    attempt = keeper.machine.attempt(await keeper.work())
    path = keeper.machine.shop.worktree_path(attempt.attempt_id)
    place = await worktree.worktree_create(keeper.machine.root, path=path, base=attempt.head_commit)
    (place.path / "unrecorded.txt").write_text("mine")
    (kept,) = (await keeper.collect(later=later, dry_run=dry_run, **rules)).worktrees_kept
    assert (kept.name, kept.attempt_id) == (path.name, attempt.attempt_id)
    assert reason in kept.reason
    assert (place.path / "unrecorded.txt").exists()


async def test_a_worktree_that_its_attempt_moved_away_is_named_and_left_alone(keeper: Keeper) -> None:
    shop = keeper.machine.shop
    attempt = keeper.machine.attempt(await keeper.work())
    path = shop.worktree_path(attempt.attempt_id)
    await worktree.worktree_create(keeper.machine.root, path=path, base=attempt.head_commit)
    path.rename(path.with_name("moved"))
    view = await keeper.collect(worktrees_days=7)
    assert [(each.name, each.attempt_id) for each in view.worktrees_kept] == [("moved", "")]
    assert "delete it yourself" in view.worktrees_kept[0].reason
    assert path.with_name("moved").is_dir()


async def test_a_worktree_in_which_somebody_is_at_work_is_passed_over(keeper: Keeper) -> None:
    shop, root = keeper.machine.shop, keeper.machine.root
    attempt = keeper.machine.attempt(await keeper.work())
    path = shop.worktree_path(attempt.attempt_id)
    await worktree.worktree_create(root, path=path, base=attempt.head_commit or "")
    async with shop.place_locks.of(path.name):
        view = await keeper.collect(worktrees_days=7)
        assert (view.worktrees, view.worktrees_kept) == (0, ())
    assert path.exists()
    assert (await keeper.collect(worktrees_days=7)).worktrees == 1


async def test_a_step_that_is_tried_again_while_its_worktree_is_looked_at_keeps_it(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = keeper.machine
    step_id = await machine.submit(executor="fake-failure", params={"files": {"file-0.txt": "new"}})
    await machine.until(step_id)
    await machine.worktrees_gone()
    attempt = machine.attempt(step_id)
    path = machine.shop.worktree_path(attempt.attempt_id)
    await worktree.worktree_create(machine.root, path=path, base=attempt.head_commit or "")
    look = changes.worktree_require_recorded

    async def look_meanwhile(*arguments: Any, **options: Any) -> None:
        await look(*arguments, **options)
        await machine.shop.database.write("step_retry", lambda tx: steps.step_retry(tx, step_id=step_id))

    monkeypatch.setattr(changes, "worktree_require_recorded", look_meanwhile)
    assert (await keeper.collect(worktrees_days=7)).worktrees == 0
    assert path.exists()


async def test_ignored_files_whose_run_goes_on_meanwhile_stay(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = keeper.machine
    run_id = await machine.run()
    step_id = await machine.submit_to(run_id, executor="fake-failure")
    await machine.until(step_id)
    await machine.worktrees_gone()
    await machine.shop.database.write("run_close", lambda tx: runs.run_close(tx, run_id=run_id))
    archive = machine.shop.ignored_path(machine.attempt(step_id).attempt_id)
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(b"kept")
    remove = retention.Retention._blobs_remove

    def retry(tx: Any) -> None:
        steps.step_retry(tx, step_id=step_id)
        runs.run_reopen(tx, run_id=run_id)

    async def remove_meanwhile(self: retention.Retention) -> None:
        await remove(self)
        await machine.shop.database.write("step_retry", retry)

    monkeypatch.setattr(retention.Retention, "_blobs_remove", remove_meanwhile)
    assert (await keeper.collect(ignored_days=0)).archives == 0
    assert archive.exists()


async def test_an_artifact_never_changes_but_to_expire(keeper: Keeper) -> None:
    step_id = await keeper.work()
    patch = keeper.machine.result(step_id).patch
    assert patch is not None

    def change(statement: str) -> Any:
        return keeper.machine.shop.database.write(
            "test",
            lambda tx: tx.execute(f"UPDATE artifacts SET {statement} WHERE artifact_id = ?", (patch.artifact_id,)),
        )

    for statement in ("sha256 = ''", "expired_at = '2026-01-01', size_bytes = 1"):
        with pytest.raises(Exception, match="immutable"):
            await change(statement)
    await keeper.collect(evidence_days=90)
    with pytest.raises(Exception, match="immutable"):
        await change("expired_at = NULL")
    assert keeper.machine.shop.database.read(lambda conn: len(list(artifacts.artifacts_all(conn)))) == 3


def test_the_command_says_what_goes_and_a_reader_hears_that_it_expired(newcomer: Operator) -> None:
    submit = ("submit", "--wait", "--executor", "fake-success", "--goal", "g")
    newcomer.ask(*submit)
    newcomer.ask("daemon", "stop")
    (newcomer.home / "daemon.toml").write_text("[retention]\nevidence_bytes = 0\nevidence_days_min = 0\n")
    # The daemon's own pass at its start takes what there is: later work waits for the command's.
    assert any(newcomer.ask("gc", "--dry-run")["artifacts"] == 0 for _ in range(500))
    step_id = newcomer.ask(*submit)["step_id"]
    assert newcomer.ask("gc", "--dry-run")["artifacts"] == 2
    assert newcomer.ask("gc")["artifacts"] == 2
    said = newcomer.say("step", "patch", step_id)
    assert said.code != 0
    assert "expired" in said.err
    verified = newcomer.ask("verify")
    assert (verified["ok"], verified["expired"]) == (True, 4)


async def test_what_waits_for_a_turn_that_never_comes_goes_too(keeper: Keeper) -> None:
    aside = keeper.machine.shop.aside_path("conv_" + "0" * 26)
    (aside / "0").mkdir(parents=True)
    (aside / "0/package").write_text("x" * 1000)
    assert (await keeper.collect(ignored_days=14, later=timedelta(0))).archives == 0
    view = await keeper.collect(ignored_days=14)
    assert (view.archives, view.archive_bytes) == (1, 1000)
    assert not aside.exists()


async def test_what_worktrees_take_is_measured_only_where_somebody_asks(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention.room, "sizes_bytes", lambda _: {keeper.machine.root: 7})
    kept = retention.Retention(shop=keeper.machine.shop)
    assert (await kept.collect(dry_run=False, is_asked_for=False)).worktrees_bytes == 0
    assert (await kept.collect(dry_run=False)).worktrees_bytes == 7
