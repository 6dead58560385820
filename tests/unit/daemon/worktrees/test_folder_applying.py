"""A result gets into a folder without git exactly, or not at all, and never over what somebody did meanwhile."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_daemon.worktrees import applying, changes, folder_applying, folders, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = folders.FolderLimits()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / ".gitignore").write_text("*.log\n")
    for name in ("a.txt", "b.txt", "deep/c.txt"):
        (root / name).write_text(f"{name}\n")
    return root


class Work:
    """One attempt in a worktree of the folder."""

    def __init__(self, folder, tmp_path):
        self.folder, self.git_root, self.worktrees = folder, tmp_path / "home/folders/one.git", tmp_path / "worktrees"

    async def do(self, edit):
        base = await folders.snapshot_take(self.folder, git_root=self.git_root, limits=LIMITS, taken_at=NOON)
        made = await worktree.worktree_create(self.git_root, path=self.worktrees / "att_1", base=base)
        edit(made.path)
        self.taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)

    async def plan(self):
        return await folder_applying.folder_plan(
            self.folder,
            git_root=self.git_root,
            limits=LIMITS,
            base_commit=self.taken.base_commit,
            head_commit=self.taken.head_commit,
            message="m",
            at=NOON,
        )

    async def carry_out(self, plan):
        await folder_applying.folder_carry_out(self.folder, plan, git_root=self.git_root, limits=LIMITS, at=NOON)

    async def apply(self):
        await self.carry_out(await self.plan())

    async def refused(self):
        before = state(self.folder)
        with pytest.raises(applying.Refused) as refused:
            await self.apply()
        assert state(self.folder) == before
        return refused.value.paths


@pytest.fixture
def work(folder, tmp_path):
    return Work(folder, tmp_path)


def state(root):
    found = {}
    for at, folders_in, names in os.walk(root):
        for name in (*names, *folders_in):
            path = os.path.join(at, name)
            content = os.readlink(path) if os.path.islink(path) else None
            if content is None and os.path.isfile(path):
                with open(path, "rb") as file:
                    content = (file.read(), os.access(path, os.X_OK))
            found[os.path.relpath(path, root)] = content
    return found


def many_edits(root):
    (root / "a.txt").write_text("other\r\n")
    (root / "b.txt").unlink()
    (root / "b.txt").mkdir()
    (root / "b.txt/now a folder").write_text("x")
    shutil.rmtree(root / "deep")
    (root / "deep").write_text("now a file")
    (root / "new/er").mkdir(parents=True)
    (root / "new/er/n.bin").write_bytes(bytes(range(256)) * 300)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a.txt")


async def test_every_kind_of_change_arrives_as_it_is(work, folder):
    await work.do(many_edits)
    (folder / "mine.txt").write_text("mine")
    (folder / "mine.log").write_text("mine")
    await work.apply()
    expected = state(work.worktrees / "att_1")
    del expected[".git"]
    found = state(folder)
    assert found.pop("mine.txt") and found.pop("mine.log")
    assert found == expected


def untouched(path: Path) -> tuple[int, ...]:
    """What any write to this path would change; being read changes none of it."""
    found = path.lstat()
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


async def test_again_and_what_is_there_already_changes_nothing(work, folder):
    await work.do(many_edits)
    plan = await work.plan()
    await work.carry_out(plan)
    before = {path: untouched(path) for path in folder.rglob("*")}
    await work.carry_out(plan)
    assert (await work.plan()).is_done
    assert {path: untouched(path) for path in folder.rglob("*")} == before


async def test_it_goes_on_where_it_was_interrupted(work, folder):
    await work.do(many_edits)
    plan = await work.plan()
    (folder / "a.txt").write_text("other\r\n")
    (folder / "b.txt").unlink()
    await work.carry_out(plan)
    assert (folder / "b.txt/now a folder").read_text() == "x"


async def test_a_file_that_was_changed_meanwhile_is_refused_by_name(work, folder):
    await work.do(lambda root: [(root / name).write_text("theirs") for name in ("a.txt", "b.txt")])
    (folder / "a.txt").write_text("mine")
    assert await work.refused() == ("a.txt",)
    (folder / "a.txt").unlink()
    assert await work.refused() == ("a.txt",)


async def test_files_that_were_changed_elsewhere_are_in_nobodys_way(work, folder):
    await work.do(lambda root: (root / "a.txt").write_text("theirs"))
    (folder / "b.txt").write_text("mine")
    await work.apply()
    assert ((folder / "a.txt").read_text(), (folder / "b.txt").read_text()) == ("theirs", "mine")


async def test_a_new_file_overwrites_neither_an_ignored_one_nor_a_folder_nor_goes_through_a_link(
    work, folder, tmp_path, git_in
):
    def edit(root):
        for name in ("kept.log", "place", "way/out"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text("theirs")
        git_in(root)("add", "--force", "kept.log")

    await work.do(edit)
    (folder / "kept.log").write_text("mine")
    (folder / "place").mkdir()
    (folder / "place/x.log").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (folder / ".gitignore").write_text("*.log\nway\n")
    (folder / "way").symlink_to(tmp_path / "elsewhere")
    assert await work.refused() == ("kept.log", "place", "way/out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_change_between_plan_and_writing_is_seen(work, folder):
    await work.do(lambda root: [(root / name).write_text("theirs") for name in ("a.txt", "b.txt")])
    plan = await work.plan()
    (folder / "a.txt").write_text("theirs")
    (folder / "b.txt").write_text("mine")
    with pytest.raises(applying.Refused, match="1 others hold the result already"):
        await work.carry_out(plan)
    assert (folder / "b.txt").read_text() == "mine"


async def test_a_change_while_other_files_are_written_is_seen(work, folder, monkeypatch):
    await work.do(lambda root: [(root / name).write_text("theirs") for name in ("a.txt", "b.txt")])

    def copy_while_a_person_edits(*arguments, copy=folder_applying._copy, **options):
        copy(*arguments, **options)
        (folder / "b.txt").write_text("mine")

    monkeypatch.setattr(folder_applying, "_copy", copy_while_a_person_edits)
    with pytest.raises(applying.Refused, match="1 others hold the result already"):
        await work.apply()
    assert ((folder / "a.txt").read_text(), (folder / "b.txt").read_text()) == ("theirs", "mine")
    assert not [path for path in folder.iterdir() if path.name.startswith(".ropeway-")]


async def test_who_may_read_a_file_stays_and_who_may_run_it_is_the_results(work, folder):
    (folder / "a.txt").chmod(0o600)

    def edit(root):
        (root / "a.txt").write_text("#!/bin/sh\n")
        (root / "a.txt").chmod(0o755)

    await work.do(edit)
    await work.apply()
    assert (folder / "a.txt").stat().st_mode & 0o777 == 0o700


async def test_a_name_that_differs_in_its_case_only_arrives(work, folder):
    await work.do(lambda root: (root / "a.txt").rename(root / "A.txt"))
    await work.apply()
    assert sorted(path.name for path in folder.glob("*.txt")) == ["A.txt", "b.txt"]


async def test_nothing_of_ours_is_left_behind(work, folder):
    await work.do(many_edits)
    await work.apply()
    assert not [name for name in state(folder) if "ropeway" in name or ".git/" in name]
    assert not [path.name for path in work.git_root.iterdir() if path.name.startswith(("planned", "ropeway-"))]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_folder_that_cannot_be_written_is_told_and_goes_on_once_it_can(work, folder):
    await work.do(lambda root: (root / "deep/c.txt").write_text("other"))
    (folder / "deep").chmod(0o500)
    with pytest.raises(applying.Refused, match="can't be written"):
        await work.apply()
    (folder / "deep").chmod(0o700)
    await work.apply()
    assert (folder / "deep/c.txt").read_text() == "other"


async def test_what_stands_in_for_a_folder_meanwhile_is_told(work, folder, monkeypatch):
    await work.do(lambda root: (root / "new").mkdir() or (root / "new/n.txt").write_text("n"))
    plan = await work.plan()

    def linked_first(*arguments, write=folder_applying._write):
        (folder / "new").symlink_to(folder / "deep")
        write(*arguments)

    monkeypatch.setattr(folder_applying, "_write", linked_first)
    with pytest.raises(applying.Refused, match="can't be written"):
        await work.carry_out(plan)
    assert not (folder / "deep/n.txt").exists()
