"""What is brought into a worktree is there for the executor, and in nothing that is recorded of it."""

import os
import shutil
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import changes, provisioning, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def write_table(repository, git_in):
    """Commit this `[worktree]` table."""

    def write(text):
        (repository / ".ropeway").mkdir(exist_ok=True)
        (repository / ".ropeway/repository.toml").write_text(f"[worktree]\n{text}\n")
        git_in(repository)("add", "-f", ".ropeway")
        git_in(repository)("commit", "--quiet", "--message", "table")

    return write


@pytest.fixture
def brought(repository, tmp_path):
    """A worktree with what its table asks for."""

    async def bring():
        made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
        provisioning.files_bring(made, await provisioning.table_read(repository), repository_root=repository)
        return made

    return bring


async def capture(made):
    return await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)


async def test_files_are_copied_and_linked_and_what_is_missing_here_is_passed_over(repository, write_table, brought):
    write_table('copy = [".env", "config/local.yaml", "nowhere"]\nlink = ["node_modules"]')
    (repository / ".env").write_text("TOKEN=abcdefgh\n")
    (repository / ".env").chmod(0o600)
    (repository / "config").mkdir()
    (repository / "config/local.yaml").write_text("x: 1\n")
    (repository / "node_modules/left-pad").mkdir(parents=True)
    made = await brought()
    assert (made.path / ".env").read_text() == "TOKEN=abcdefgh\n"
    assert (made.path / ".env").stat().st_mode & 0o777 == 0o600
    assert (made.path / "config/local.yaml").exists()
    assert (made.path / "node_modules/left-pad").is_dir()
    assert not (made.path / "nowhere").exists()


@pytest.mark.parametrize(
    "expose",
    [
        lambda made, git: None,
        lambda made, git: (made.path / ".gitignore").write_text("!.env\n"),
        lambda made, git: git("add", "--force", ".env"),
        lambda made, git: (git("add", "--force", ".env"), git("commit", "--quiet", "-m", "oops")),
        lambda made, git: (made.path / "inner/.git").mkdir(parents=True),
    ],
    ids=["as it is", "no longer ignored", "added by force", "committed", "with a repository inside"],
)
async def test_what_was_brought_is_in_no_patch_whatever_an_executor_does(
    repository, write_table, brought, git_in, expose
):
    write_table('copy = [".env"]\nlink = ["node_modules"]')
    (repository / ".env").write_text("TOKEN=abcdefgh\n")
    (repository / "node_modules").mkdir()
    made = await brought()
    (made.path / ".env").write_text("TOKEN=abcdefgh\nMORE=ijklmnop\n")
    expose(made, git_in(made.path))
    (made.path / "README").write_text("changed\n")
    taken = await capture(made)
    assert {file.path for file in taken.files} <= {"README", ".gitignore"}
    assert b"abcdefgh" not in taken.patch
    assert not {".env", "node_modules"} & {file.path for file in taken.ignored}
    await changes.worktree_remove(made, recorded_tree=taken.tree)
    assert not made.path.exists()
    assert (repository / "node_modules").is_dir()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('copy = ["README"]', "README: is in the repository already"),
        ('copy = ["../outside"]', "../outside: not a path below"),
        ('copy = ["/etc/passwd"]', "/etc/passwd: not a path below"),
        ('copy = [".git/config"]', ".git/config: not a path below"),
        ('link = ["way/out"]', "way/out: not a path below"),
        ('copy = ["way"]', "way: leads out"),
        ('copies = [".env"]', "worktree.copies"),
        ("hook_timeout_s = 0", "worktree.hook_timeout_s"),
        ("copy = [", "repository.toml"),
    ],
)
async def test_a_table_that_can_not_be_kept_says_why(repository, tmp_path, write_table, brought, table, reason):
    (repository / "way").symlink_to(tmp_path)
    (tmp_path / "out").mkdir()
    write_table(table)
    with pytest.raises(provisioning.ProvisioningFailed) as raised:
        await brought()
    assert reason in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


async def test_what_was_brought_into_a_folder_that_an_executor_made_a_link_is_in_no_patch(
    repository, write_table, brought
):
    write_table('copy = ["config/local.yaml"]')
    (repository / "config").mkdir()
    (repository / "config/local.yaml").write_text("x: 1\n")
    made = await brought()
    shutil.rmtree(made.path / "config")
    (made.path / "config").symlink_to("src")
    taken = await capture(made)
    assert [file.path for file in taken.files] == ["config"]


async def test_what_the_hook_made_is_nobodys_edit_and_what_it_changed_is_refused(repository, write_table, brought):
    write_table('hook = "make deps"')
    made = await brought()
    (made.path / "vendor").mkdir()
    (made.path / "vendor/lib.py").write_text("made\n")
    (made.path / "build").mkdir()
    (made.path / "build/out").write_text("made\n")
    await provisioning.hook_made_note(made)
    (made.path / "mine.py").write_text("mine\n")
    taken = await capture(made)
    assert [file.path for file in taken.files] == ["mine.py"]
    assert taken.ignored == ()
    (made.path / "README").write_text("changed\n")
    with pytest.raises(provisioning.ProvisioningFailed, match="README"):
        await provisioning.hook_made_note(made)


async def test_the_values_of_environment_files_are_known_as_secrets(repository, write_table, brought):
    write_table('copy = [".env.local", "notes.txt"]')
    (repository / ".env.local").write_text("# comment\nexport TOKEN='abcdefgh'\nEMPTY=\nnothing\n")
    (repository / "notes.txt").write_text("A=bcdefghij\n")
    made = await brought()
    assert provisioning.secrets_read(made.path, repository_root=repository) == {"TOKEN": "abcdefgh"}


async def test_the_secrets_of_environment_files_that_come_with_their_folder_are_known(repository, write_table, brought):
    write_table('copy = ["config"]\nlink = ["linked"]')
    for name in ("config/deep/.env", "linked/test.env"):
        (repository / name).parent.mkdir(parents=True)
        (repository / name).write_text(f"{name[0].upper()}_TOKEN=abcdefgh\nPORT=3000\n")
    made = await brought()
    found = provisioning.secrets_read(made.path, repository_root=repository)
    assert found == {"C_TOKEN": "abcdefgh", "L_TOKEN": "abcdefgh"}
    assert (await capture(made)).files == ()


async def test_the_secrets_of_an_environment_file_that_the_hook_made_are_known_before_anybody_works(
    repository, write_table, brought
):
    write_table('hook = "make env"')
    made = await brought()
    (made.path / ".env").write_text("TOKEN=abcdefgh\n")
    await provisioning.hook_made_note(made)
    assert provisioning.secrets_read(made.path, repository_root=repository) == {}
    assert provisioning.secrets_made(made.path) == {"TOKEN": "abcdefgh"}


async def test_an_environment_file_that_is_a_pipe_keeps_nobody_waiting(repository, write_table, brought):
    write_table('hook = "make env"')
    made = await brought()
    os.mkfifo(made.path / ".env")
    (worktree.own_dir(made.path) / "provisioned.json").write_text('[".env"]')
    assert provisioning.secrets_made(made.path) == {}


async def test_what_an_executor_wrote_into_the_file_asks_for_nothing(repository, write_table, tmp_path, git_in):
    write_table('copy = [".env"]')
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    (made.path / ".ropeway/repository.toml").write_text("[worktree]\nhook = 'make mischief'\n")
    git_in(made.path)("commit", "--quiet", "--all", "--message", "mine")
    assert (await provisioning.table_read(repository)).hook is None
    assert (await provisioning.table_read(repository)).copied == (".env",)


@pytest.fixture
def with_attributes(repository, tmp_path, git_in, monkeypatch):
    """A worktree of a commit with attributes in that place, on a machine without git-lfs."""
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    async def make(place, text, *, index_version="2"):
        git_in(repository)("config", "index.version", index_version)
        (repository / place).parent.mkdir(parents=True, exist_ok=True)
        (repository / place).write_text(text)
        git_in(repository)("add", place)
        git_in(repository)("commit", "--quiet", "--message", "attributes")
        return await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")

    return make


@pytest.mark.parametrize("index_version", ["2", "4"])
@pytest.mark.parametrize("place", [".gitattributes", "src/.gitattributes", "assets/deep/.gitattributes"])
async def test_a_repository_with_lfs_anywhere_is_refused_where_lfs_is_not_set_up(with_attributes, place, index_version):
    made = await with_attributes(place, "*.bin filter=lfs diff=lfs merge=lfs -text\n", index_version=index_version)
    with pytest.raises(provisioning.ProvisioningFailed, match="git lfs install"):
        await provisioning.lfs_require(made)


async def test_lfs_that_is_set_up_is_used(with_attributes, repository, git_in):
    git_in(repository)("config", "filter.lfs.process", "cat")
    made = await with_attributes("src/.gitattributes", "*.none filter=lfs\n")
    await provisioning.lfs_require(made)


@pytest.mark.parametrize("place", [".gitattributes", "src/.gitattributes"])
async def test_other_attributes_are_no_lfs(with_attributes, place):
    await provisioning.lfs_require(await with_attributes(place, "# *.bin filter=lfs\n*.sh text eol=lf\n"))


async def test_where_no_folder_has_attributes_no_git_is_asked_about_lfs(with_attributes, monkeypatch):
    made = await with_attributes(".gitattributes", "*.sh text eol=lf\n")
    monkeypatch.setattr(provisioning.git, "git", None)
    await provisioning.lfs_require(made)
