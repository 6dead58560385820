"""The repository's file is the operator's: as it stands in the checkout, whatever a branch says."""

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
    assert await agreed.file_read(tmp_path / "bare.git") is None
    write("# committed\n")
    git_in(repository)("commit", "--quiet", "--message", "agreed")
    git_in(tmp_path / "bare.git")("fetch", "--quiet", str(repository), "+main:main")
    assert await agreed.file_read(tmp_path / "bare.git") == b"# committed\n"


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
