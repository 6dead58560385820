"""The repository's file is the operator's: as it stands in the checkout, whatever a branch says."""

import os
import shutil

import pytest

from local_daemon.config import repository_file
from local_daemon.worktrees import agreed, worktree


@pytest.fixture
def write(repository, git_in):
    """Write the file into the checkout."""

    def write(text):
        (repository / repository_file.PLACE).parent.mkdir(exist_ok=True)
        (repository / repository_file.PLACE).write_text(text)
        git_in(repository)("add", str(repository_file.PLACE))

    return write


async def test_without_a_file_nothing_was_agreed_on(repository, tmp_path):
    assert await agreed.file_read(repository) is None
    assert await agreed.file_read(tmp_path / "gone") is None


async def test_the_file_counts_as_it_stands_in_the_checkout(repository, write, git_in, tmp_path):
    write("# committed\n")
    git_in(repository)("commit", "--quiet", "--message", "agreed")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    (made.path / repository_file.PLACE).write_text("# an executor's\n")
    git_in(made.path)("commit", "--quiet", "--all", "--message", "mine")
    git_in(made.path)("update-ref", "refs/heads/main", "HEAD")
    assert await agreed.file_read(repository) == b"# committed\n"
    write("# not committed\n")
    assert await agreed.file_read(repository) == b"# not committed\n"


async def test_of_a_bare_repository_the_file_at_its_head_counts(repository, write, git_in, tmp_path):
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), "bare.git")
    assert await agreed.file_read(tmp_path / "bare.git", trusted_root=tmp_path / "trusted") is None
    write("# committed\n")
    git_in(repository)("commit", "--quiet", "--message", "agreed")
    git_in(tmp_path / "bare.git")("fetch", "--quiet", str(repository), "+main:main")
    assert await agreed.file_read(tmp_path / "bare.git", trusted_root=tmp_path / "trusted") == b"# committed\n"


async def test_a_file_that_can_not_be_read_is_not_taken_for_none(repository, write):
    write("")
    (repository / repository_file.PLACE).unlink()
    (repository / repository_file.PLACE).mkdir()
    with pytest.raises(repository_file.RepositoryFileInvalid, match="repository.toml"):
        await agreed.file_read(repository)
    shutil.rmtree(repository / repository_file.PLACE)


async def test_of_a_file_without_end_no_more_is_read_than_shows_that(repository, write):
    write("#" * (repository_file.BYTES_MAX + 10))
    content = await agreed.file_read(repository)
    assert content is not None
    with pytest.raises(repository_file.RepositoryFileInvalid, match="longer than"):
        repository_file.tables_parse(content)


async def test_a_pipe_in_its_place_is_refused_at_once(repository, write):
    write("")
    (repository / repository_file.PLACE).unlink()
    os.mkfifo(repository / repository_file.PLACE)
    with pytest.raises(repository_file.RepositoryFileInvalid, match="not a file"):
        await agreed.file_read(repository)


@pytest.fixture
def bare(repository, write, git_in, tmp_path):
    """A bare clone of the repository, with the file at its head."""
    write("# committed\n")
    git_in(repository)("commit", "--quiet", "--message", "agreed")
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), "bare.git")
    return tmp_path / "bare.git"


def config_break(bare):
    with (bare / "config").open("a") as config:
        config.write("[broken\n")


def branch_break(bare):
    (bare / "packed-refs").unlink(missing_ok=True)
    (bare / "refs/heads/main").write_text("no commit\n")


def objects_remove(bare):
    shutil.rmtree(bare / "objects")
    (bare / "objects").mkdir()


def head_replace(bare):
    (bare / "HEAD").unlink()
    os.mkfifo(bare / "HEAD")


@pytest.mark.parametrize("damage", [config_break, branch_break, objects_remove, head_replace])
async def test_where_git_can_not_tell_there_may_be_a_policy(bare, git_in, damage):
    """Around it is another repository that has none."""
    git_in(bare.parent)("init", "--quiet")
    git_in(bare.parent)("commit", "--quiet", "--allow-empty", "--message", "around")
    assert await agreed.file_read(bare, trusted_root=bare.parent / "trusted") == b"# committed\n"
    damage(bare)
    with pytest.raises(repository_file.RepositoryFileInvalid, match="repository.toml"):
        await agreed.file_read(bare, trusted_root=bare.parent / "trusted")


async def test_of_a_bare_repository_without_its_content_it_is_not_taken_for_none(bare, git_in):
    git = git_in(bare)
    blob = git("rev-parse", f"HEAD:{repository_file.PLACE}").decode().strip()
    git("repack", "-a", "-d", "--quiet")
    for pack in (bare / "objects/pack").glob("*.pack"):
        packed = pack.read_bytes()
        for part in pack.parent.glob(f"{pack.stem}*"):
            part.unlink()
        git("unpack-objects", "-q", stdin=packed)
    (bare / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(repository_file.RepositoryFileInvalid, match="repository.toml"):
        await agreed.file_read(bare, trusted_root=bare.parent / "trusted")


async def test_before_the_first_commit_of_a_bare_repository_nothing_was_agreed_on(tmp_path, git_in):
    git_in(tmp_path)("init", "--quiet", "--bare", "bare.git")
    assert await agreed.file_read(tmp_path / "bare.git", trusted_root=tmp_path / "trusted") is None


async def test_a_checkout_with_files_of_a_bare_repositorys_names_is_a_checkout(repository, write):
    write("# here\n")
    (repository / "HEAD").touch()
    (repository / "objects").mkdir()
    assert await agreed.file_read(repository) == b"# here\n"
