"""What the git that stays writes is what a git of its own would write; where it does not answer, that one does."""

import asyncio
import os
import signal
from datetime import UTC, datetime

import pytest

from local_daemon.processes import children, standing
from local_daemon.worktrees import changes, git, recorders, references, worktree
from tests.unit.daemon.worktrees import hostility

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _what_is_killed_may_take_its_time(monkeypatch):
    """A busy machine is no failure."""
    monkeypatch.setattr(standing, "_KILLED_S", 60.0)


@pytest.fixture
async def by():
    made = recorders.Recorders()
    yield made
    await made.close()


@pytest.fixture
async def started(monkeypatch):
    """Every git that was started to stay."""
    found, start = [], git.git_standing

    def remember(*arguments):
        found.append(start(*arguments))
        return found[-1]

    monkeypatch.setattr(git, "git_standing", remember)
    yield found
    for tool in found:
        tool.close()
        await tool.gone()


@pytest.fixture
def edited(repository, tmp_path):
    """Makes a worktree with an edit."""
    numbers = iter(range(1000))

    async def make(content="other\n"):
        path = tmp_path / f"worktrees/att_{next(numbers)}"
        made = await worktree.worktree_create(repository, path=path, base="HEAD")
        (made.path / "README").write_text(content)
        return made

    return make


async def capture(made, ref, by=None, message="what it is called\n"):
    return await changes.changes_capture(made, ref=f"refs/ropeway/r/s/{ref}", message=message, captured_at=NOON, by=by)


@pytest.mark.parametrize("message", ["Title\n", "Grüße, 世界\n", "two\n\nparagraphs", "quote \" and \\ and 'this'\n"])
async def test_the_commit_is_the_same_one(message, edited, by, started, repository, git_in):
    run = git_in(repository)
    alone = await capture(await edited(), "alone", message=message)
    short = await capture(await edited(), "short", by, message=message)
    assert (short.head_commit, short.tree, short.patch) == (alone.head_commit, alone.tree, alone.patch)
    assert run("rev-parse", "refs/ropeway/r/s/short").decode().strip() == short.head_commit
    said = run("show", "--no-patch", "--format=%an <%ae> %at|%cn <%ce> %ct|%P|%B", short.head_commit).decode()
    who = f"Ropeway <ropeway@localhost> {int(NOON.timestamp())}"
    assert said == f"{who}|{who}|{short.base_commit}|{message}\n"
    run("fsck", "--strict")
    assert len(started) == 2


async def test_one_git_of_each_serves_many_attempts(edited, by, started, repository, git_in):
    made = [await edited(f"{number}\n") for number in range(6)]
    taken = await asyncio.gather(*(capture(each, f"a{number}", by) for number, each in enumerate(made)))
    listed = git_in(repository)("for-each-ref", "--format=%(objectname)", "refs/ropeway").decode().split()
    assert sorted(listed) == sorted(each.head_commit for each in taken)
    assert len(started) == 2


async def test_what_was_captured_before_is_found_and_the_next_one_goes_on_top(edited, by, repository, git_in):
    made = await edited()
    first = await capture(made, "a", by)
    assert (await capture(made, "a", by)).head_commit == first.head_commit
    (made.path / "README").write_text("later\n")
    second = await capture(made, "a", by)
    git_in(repository)("merge-base", "--is-ancestor", first.head_commit, second.head_commit)
    assert git_in(repository)("rev-parse", "refs/ropeway/r/s/a").decode().strip() == second.head_commit


async def test_one_that_was_killed_is_replaced(edited, by, started):
    await capture(await edited("1\n"), "a", by)
    for tool in started[:2]:
        os.kill(tool._child.pid, signal.SIGKILL)
    taken = [await capture(await edited("2\n"), "b", by), await capture(await edited("3\n"), "c", by)]
    assert taken[0].head_commit != taken[1].head_commit
    assert [tool.is_closed for tool in started] == [True, True, False, False]


async def test_a_git_that_does_not_know_the_order_is_done_without(edited, by, monkeypatch, repository, git_in):
    monkeypatch.setattr(recorders, "_REFS", ("update-ref", "--no-such-option"))
    monkeypatch.setattr(recorders, "_COMMITS", ("no-such-command",))
    taken = await capture(await edited(), "a", by)
    assert git_in(repository)("rev-parse", "refs/ropeway/r/s/a").decode().strip() == taken.head_commit


@pytest.mark.parametrize("is_short", [True, False])
async def test_a_lock_that_a_killed_git_left_on_an_attempts_reference_holds_nothing_up(
    is_short, edited, by, repository, git_in
):
    lock = repository / ".git/refs/ropeway/r/s/a.lock"
    lock.parent.mkdir(parents=True)
    made = await edited()
    for content in ("first\n", "on top\n"):
        lock.touch()
        (made.path / "README").write_text(content)
        taken = await capture(made, "a", by if is_short else None)
        assert git_in(repository)("rev-parse", "refs/ropeway/r/s/a").decode().strip() == taken.head_commit
    assert not lock.exists()


async def test_what_is_no_lock_of_git_is_refused(edited, by, repository):
    (repository / ".git/refs/ropeway/r/s/a.lock").mkdir(parents=True)
    with pytest.raises(git.GitFailed):
        await capture(await edited(), "a", by)


async def test_without_an_order_they_go(edited, started):
    by = recorders.Recorders(idle_s=0)
    await capture(await edited(), "a", by)
    for _ in range(3):
        await asyncio.sleep(0)
    assert [tool.is_closed for tool in started] == [True, True]
    await capture(await edited("more\n"), "b", by)
    await by.close()
    assert all(tool.is_closed for tool in started)


async def test_only_those_of_the_repositories_used_last_stay(edited, by, started, tmp_path, monkeypatch):
    monkeypatch.setattr(recorders, "KEPT_MAX", 1)
    await capture(await edited(), "a", by)
    assert [tool.is_closed for tool in started] == [True, False]


async def test_one_at_work_is_not_ended_for_another_repository_which_does_without(
    edited, by, started, repository, tmp_path, git_in, monkeypatch
):
    monkeypatch.setattr(recorders, "KEPT_MAX", 1)
    other = tmp_path / "other.git"
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), str(other))
    here, there = (
        references.refs_place(root, trusted_root=tmp_path / "trusted") for root in (repository / ".git", other)
    )
    commit = (await edited()).base_commit
    assert await by.ref_create(here, "refs/ropeway/r/s/first", commit)
    os.kill(
        started[0]._child.pid, signal.SIGSTOP
    )  # From here on it is at work for as long as this test wants it to be.
    asked = [asyncio.ensure_future(by.ref_create(here, f"refs/ropeway/r/s/{name}", commit)) for name in "ab"]
    await asyncio.sleep(0)
    assert not await by.ref_create(there, "refs/ropeway/r/s/c", commit)
    assert [tool.is_closed for tool in started] == [False]
    os.kill(started[0]._child.pid, signal.SIGCONT)
    assert await asyncio.gather(*asked) == [True, True]
    assert await by.ref_create(there, "refs/ropeway/r/s/c", commit)
    assert [tool.is_closed for tool in started] == [True, False]


async def test_one_with_another_order_is_not_idle_when_the_first_is_done(edited, started):
    by = recorders.Recorders(idle_s=0)
    made = await edited()
    names = [f"refs/ropeway/r/s/{number}" for number in range(20)]
    assert all(await asyncio.gather(*(by.ref_create(made.refs, name, made.base_commit) for name in names)))
    assert len(started) == 1
    await by.close()


async def test_closing_waits_for_nothing_that_does_not_end(edited, started, monkeypatch):
    monkeypatch.setattr(standing, "GRACE_S", 0.05)
    by = recorders.Recorders()
    await capture(await edited(), "a", by)
    for tool in started:
        os.kill(tool._child.pid, signal.SIGSTOP)
    await by.close()
    assert not any(children.is_started_here(tool._child.pid) for tool in started)


async def test_one_that_is_stopped_is_done_without(edited, by, started, repository, git_in, monkeypatch):
    monkeypatch.setattr(standing, "GRACE_S", 0.05)
    await capture(await edited("1\n"), "a", by)
    for tool in started[:2]:
        os.kill(tool._child.pid, signal.SIGSTOP)
    monkeypatch.setattr(recorders, "_TIMEOUT_S", 0.05)
    taken = await capture(await edited("2\n"), "b", by)
    assert git_in(repository)("rev-parse", "refs/ropeway/r/s/b").decode().strip() == taken.head_commit
    assert not any(children.is_started_here(tool._child.pid) for tool in started[:2])


async def test_they_leave_no_lock_behind(edited, by, repository):
    await capture(await edited(), "a", by)
    await by.close()
    assert list((repository / ".git").rglob("*.lock")) == []


async def test_they_run_nothing_that_was_configured_meanwhile(edited, by, repository, tmp_path):
    (tmp_path / "hostility").mkdir()
    hostile = hostility.Hostility(folder=tmp_path / "hostility", common_dirs=[repository / ".git"])
    made, file = await edited(), tmp_path / "commit"
    head = f"tree {made.base_tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nm\n"
    for number in range(2):  # Written before they are started, and while they are there.
        hostile.poison()
        file.write_text(f"{head}{number}\n")
        commit = await by.commit_write(file, trusted_dir=made.trusted_dir, common_dir=made.trusted.common_dir)
        assert commit is not None
        assert await by.ref_create(made.refs, f"refs/ropeway/r/s/{number}", commit)
        hostile.cure()
    assert not hostile.canary.exists()
