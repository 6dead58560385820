"""What is no file, in the place of one: told by name at once, and everything else of an attempt is kept."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_daemon.worktrees import changes, deletion, folders, git, recorders, special_files, worktree

REF = "refs/ropeway/run_1/step_1/att_1"
NOTES = (
    "index", "index.lock", "nested-index-1", "commit", "commit.new", "tree", "tree.new", "provisioned.json",
    "special-files.json", "brought-back.json",
)  # fmt: skip
"""What is kept beside a worktree."""

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def looking_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for git looks for the reason at once."""
    monkeypatch.setattr(git, "LOOK_AFTER_S", 0)


def put_pipe(root: Path, name: str) -> None:
    """A named pipe, whatever was there before."""
    place = root / name
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)


def put_endless(root: Path, name: str) -> None:
    """What can be read for ever, whatever was there before."""
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to("/dev/zero")


def put_folder(root: Path, name: str) -> None:
    """A folder with something in it, whatever was there before."""
    deletion.tree_delete(root / name)
    (root / name / "below").mkdir(parents=True)


def put_junk(root: Path, name: str) -> None:
    """A file that says nothing to anybody, whatever was there before."""
    (root / name).unlink(missing_ok=True)
    (root / name).write_text("junk\n")


def put_others(root: Path, name: str) -> None:
    """JSON that is no such note, whatever was there before."""
    (root / name).unlink(missing_ok=True)
    (root / name).write_text("[1]")


def put_socket(root: Path, name: str) -> None:
    """A socket, whatever was there before."""
    (root / name).unlink(missing_ok=True)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    os.mknod(root / name, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize(
    ("put", "name"),
    [
        (put_pipe, ".gitignore"),
        (put_pipe, "src/.gitignore"),
        (put_pipe, ".gitattributes"),
        (put_pipe, "inner/.git/HEAD"),
        (put_pipe, "src/a.py"),
        (put_socket, "src/a.py"),
    ],
)
async def test_what_is_no_file_is_named_and_taken_away_and_every_edit_is_recorded(
    made, put: Callable[[Path, str], None], name: str
):
    (made.path / "README").write_text("other\n")
    (made.path / "new").write_text("new\n")
    put(made.path, name)
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert taken.special_files == (name,)
    assert {"README", "new"} <= {file.path for file in taken.files}
    assert not os.path.lexists(made.path / name)
    assert await changes.worktree_remove(made, recorded_tree=taken.tree) is None


async def test_what_was_taken_away_is_named_also_by_whoever_captures_after_an_interruption(made):
    """Git fails again once the pipe is gone, and later doesn't."""
    put_pipe(made.path, "src/.gitignore")
    (made.path / "README").write_text("other\n")
    with pytest.raises(git.GitFailed):
        await changes.changes_capture(made, ref="refs/ropeway/no name", message="m", captured_at=NOON)
    assert not os.path.lexists(made.path / "src/.gitignore")
    put_pipe(made.path, ".gitattributes")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert taken.special_files == (".gitattributes", "src/.gitignore")
    again = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert again.special_files == taken.special_files


@pytest.mark.parametrize("put", [put_pipe, put_folder, put_junk, put_others])
@pytest.mark.parametrize("note", ["special-files.json", "special-files.json.new", "index"])
async def test_whatever_stands_where_that_is_noted_down_hides_no_name(
    made, put: Callable[[Path, str], None], note: str
):
    put(worktree.own_dir(made.path), note)
    put_pipe(made.path, "README")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert taken.special_files == ("README",)


@pytest.mark.parametrize(
    "noted",
    ["", "junk", "{", "1", "{}", "[1]", '[["a"]]', '["/a"]', '["../a"]', '["a\\u0000b"]', '["\\ud800"]', "[" * 99999],
)
def test_a_note_that_we_did_not_write_names_nothing(made, noted: str):
    (worktree.own_dir(made.path) / "special-files.json").write_text(noted)
    assert worktree.own_names(made.path, "special-files.json") == ()


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("put", [put_pipe, put_endless, put_folder, put_junk, put_others])
async def test_what_an_executor_put_beside_its_worktree_is_neither_waited_for_nor_hides_an_edit(
    made, git_in, put: Callable[[Path, str], None], note: str
):
    (made.path / "README").write_text("other\n")
    (made.path / "kept.log").write_text("ignored\n")
    (made.path / "inner").mkdir()
    git_in(made.path / "inner")("init", "--quiet")
    (made.path / "inner/file").write_text("inner\n")
    put(worktree.own_dir(made.path), note)
    by = recorders.Recorders()
    try:
        taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON, by=by)
    finally:
        await by.close()
    assert [file.path for file in taken.files] == ["README", "inner/file"]
    assert ([file.path for file in taken.ignored], taken.special_files) == (["kept.log"], ())
    put(worktree.own_dir(made.path), note)
    assert await changes.worktree_remove(made, recorded_tree=taken.tree) is None


async def test_a_folder_in_the_place_of_our_index_hides_no_edit(made):
    made.index.unlink()
    (made.index / "below").mkdir(parents=True)
    (made.path / "README").write_text("other\n")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert [file.path for file in taken.files] == ["README"]


async def test_a_file_of_the_commit_that_became_a_pipe_is_gone_in_the_patch(made):
    put_pipe(made.path, "src/a.py")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert [(file.path, file.status) for file in taken.files] == [("src/a.py", "D")]


async def test_what_git_passes_over_is_nobodys_business(made):
    put_pipe(made.path, "src/talk")
    put_socket(made.path, "socket")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert (taken.files, taken.special_files) == ((), ())
    assert (made.path / "src/talk").is_fifo()


async def test_what_lies_behind_a_link_is_left_alone(made, tmp_path):
    """The folder of a file of the commit is exchanged for a link; another file is what has to be taken away."""
    elsewhere = tmp_path / "elsewhere"
    put_pipe(elsewhere, "a.py")
    shutil.rmtree(made.path / "src")
    (made.path / "src").symlink_to(elsewhere)
    put_pipe(made.path, "README")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert taken.special_files == ("README",)
    assert (elsewhere / "a.py").is_fifo()


def test_a_folder_that_becomes_a_link_once_it_was_looked_at_leads_nowhere(tmp_path):
    elsewhere, checkout = tmp_path / "elsewhere", tmp_path / "checkout"
    put_pipe(elsewhere, "bus")
    put_pipe(checkout, "run/bus")
    found = special_files.special_files_find(checkout, tracked=[b"run/bus"])
    assert found == [checkout / "run/bus"]
    shutil.rmtree(checkout / "run")
    (checkout / "run").symlink_to(elsewhere)
    special_files.special_files_remove(checkout, found)
    assert (elsewhere / "bus").is_fifo()


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root writes everywhere")
def test_a_folder_in_which_nobody_may_write_keeps_none(tmp_path):
    put_pipe(tmp_path, "run/bus")
    (tmp_path / "run").chmod(0o555)
    remove = (
        "import pathlib, sys; from local_daemon.worktrees import special_files; root = pathlib.Path(sys.argv[1]); "
        "special_files.special_files_remove(root, [root / 'run/bus'])"
    )
    # As anybody but root is: held to what a folder's permissions say.
    held = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    subprocess.run([*held, sys.executable, "-c", remove, str(tmp_path)], check=True)
    assert list((tmp_path / "run").iterdir()) == []


async def test_one_that_can_not_be_taken_away_is_told_as_what_git_failed_over(made, monkeypatch):
    def refuse(directory: Path, found: list[Path]) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(special_files, "special_files_remove", refuse)
    put_pipe(made.path, ".gitignore")
    with pytest.raises(git.GitFailed, match="can't be taken away: Operation not permitted"):
        await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)


@pytest.mark.parametrize(
    "name",
    [
        ".gitignore", ".gitmodules", "a/b/.gitattributes", "inner/.git/HEAD", "inner/.git/refs/heads/info/any",
        "inner/.git/info/exclude", "inner/.git/objects/info/alternates", "inner/.git/objects/pack/pack-1.idx",
        "inner/.git/objects/ab/cdef", "inner/.git/modules/a/b/HEAD", "inner/.git/modules/a/refs/heads/main",
    ],
)  # fmt: skip
def test_a_pipe_that_git_would_read_is_found(tmp_path, name: str):
    put_pipe(tmp_path, name)
    assert special_files.special_files_find(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize(
    ("put", "name"),
    [
        (put_socket, "inner/.git/fsmonitor--daemon.ipc"),
        (put_socket, "inner/.git/HEAD"),
        (put_socket, ".gitignore"),
        (put_pipe, "inner/.git/talk"),
        (put_pipe, "inner/.git/objects/talk"),
        (put_pipe, "inner/.git/objects/info/talk"),
        (put_pipe, "inner/.git/info/talk"),
        (put_pipe, "inner/.git/modules/a/talk"),
        (put_pipe, "src/.gitmodules"),
        (put_pipe, ".git/HEAD"),
    ],
)
def test_what_git_waits_for_in_no_case_is_not_found(tmp_path, put: Callable[[Path, str], None], name: str):
    put(tmp_path, name)
    assert special_files.special_files_find(tmp_path) == []


def test_the_modules_of_a_repository_inside_are_read(tmp_path):
    (tmp_path / "inner/.git").mkdir(parents=True)
    put_pipe(tmp_path, "inner/.gitmodules")
    assert special_files.special_files_find(tmp_path) == [tmp_path / "inner/.gitmodules"]


def test_a_file_that_goes_away_meanwhile_hides_no_pipe_beside_it(tmp_path, monkeypatch):
    put_pipe(tmp_path, ".gitattributes")
    put_pipe(tmp_path, ".gitignore")
    real = os.scandir

    @contextmanager
    def listed(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with real(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        os.unlink(found[0])
        yield iter(found)

    monkeypatch.setattr(special_files.os, "scandir", listed)
    assert special_files.special_files_find(tmp_path) == [tmp_path / ".gitignore"]


def test_nothing_is_sought_any_more_once_nobody_wants_to_know(tmp_path):
    put_pipe(tmp_path, ".gitignore")
    put_pipe(tmp_path, "deep/.gitignore")
    asked = iter((False, True))
    found = special_files.special_files_find(tmp_path, is_over=lambda: next(asked))
    assert found == [tmp_path / ".gitignore"]


async def test_the_socket_of_a_git_at_work_stays_when_something_else_is_taken_away(made):
    put_socket(made.path, "inner/.git/fsmonitor--daemon.ipc")
    put_pipe(made.path, "README")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert taken.special_files == ("README",)
    assert (made.path / "inner/.git/fsmonitor--daemon.ipc").is_socket()


async def test_a_pipe_that_a_check_left_is_in_nobodys_way_when_the_worktree_goes(made):
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    put_pipe(made.path, ".gitignore")
    left = await changes.worktree_remove(
        made, recorded_tree=taken.tree, leftover_ref=f"{REF}-leftover", removed_at=NOON
    )
    assert left is not None
    assert not made.path.exists()


async def test_asking_whether_all_is_recorded_takes_nothing_away(made):
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    put_pipe(made.path, ".gitignore")
    with pytest.raises(git.GitWaited, match=r"no file: \.gitignore"):
        await changes.worktree_require_recorded(made, recorded_tree=taken.tree)
    assert (made.path / ".gitignore").is_fifo()


async def test_a_folder_that_holds_one_is_refused_with_its_name_and_left_alone(tmp_path):
    folder, home = tmp_path / "folder", tmp_path / "home"
    put_pipe(folder, "odd\nname/.gitignore")
    with pytest.raises(folders.FolderRefused, match=r"no file: odd\\012name/\.gitignore"):
        await folders.folder_take_on(folder, git_root=home / "folders/a.git", home=home, limits=folders.FolderLimits())
    assert (folder / "odd\nname/.gitignore").is_fifo()


def test_many_are_told_by_the_first_of_them(tmp_path):
    for number in range(7):
        put_pipe(tmp_path, f"{number}/.gitignore")
    found = special_files.special_files_find(tmp_path)
    said = special_files.named(found, directory=tmp_path)
    assert said.endswith("4/.gitignore and 2 more")
