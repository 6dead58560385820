"""What a repository shares with its worktrees: kept as it was, compared by name, never shown by value."""

import os

import pytest

from local_daemon.worktrees import bindings, configuration, worktree


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("filter.x.clean", "evil"), ("filter.x.clean",)),
        (("core.hooksPath", "evil"), ("core.hookspath",)),
        (("url.https://token@host/.insteadOf", "x"), ("url.….insteadof",)),
        (("include.path", "more"), ("include.path",)),
        (("branch.topic.merge", "refs/heads/topic"), ()),
        (("remote.fork.url", "../fork"), ()),
        (("remote.fork.uploadpack", "evil"), ("remote.fork.uploadpack",)),
        (("user.name", "Ada"), ()),
        (("submodule.lib.active", "true"), ()),
        (("submodule.lib.update", "!evil"), ("submodule.lib.update",)),
    ],
)
async def test_a_setting_is_named_unless_daily_work_writes_it(made, git_in, arguments, names):
    git_in(made.path)("config", *arguments)
    assert await made.configuration_changed() == names


async def test_a_value_that_was_there_before_is_never_daily_work(repository, tmp_path, git_in):
    git_in(repository)("config", "remote.origin.url", "../origin")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    git_in(repository)("config", "remote.origin.url", "../elsewhere")
    assert await made.configuration_changed() == ("remote.origin.url",)


async def test_a_configuration_that_git_cannot_read_any_more_is_named(made, repository):
    (repository / ".git/config").write_text("[broken")
    assert await made.configuration_changed() == ("config",)


async def test_a_hook_that_was_rewritten_with_its_old_time_and_size_is_named(repository, tmp_path):
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntrue\n")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    before = hook.stat()
    hook.write_text("#!/bin/sh\nevil\n")
    os.utime(hook, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await made.configuration_changed() == ("hooks/pre-commit",)


async def test_attempts_that_overlap_begin_with_the_configuration_before_the_first(made, repository, tmp_path, git_in):
    git_in(repository)("config", "filter.x.smudge", "evil")
    with pytest.raises(configuration.ConfigurationChanged) as raised:
        await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_2", base="HEAD")
    assert raised.value.names == ("filter.x.smudge",)
    assert not (tmp_path / "worktrees/att_2").exists()
    assert made.path.exists()


async def test_a_later_daemon_still_knows_the_configuration_from_before(made, repository, git_in):
    kept = dict(made.trusted.parts)
    git_in(repository)("config", "alias.x", "!evil")
    found, trusted_dir = configuration.configuration_kept(worktree.own_dir(made.path))
    assert trusted_dir == made.trusted_dir
    assert dict(found.parts) == kept
    now = await configuration.configuration_read(bindings.common_dir_find(repository))
    assert await configuration.names_changed(found, now) == ("alias.x",)


@pytest.mark.parametrize("left", [b"", b'{"common_dir": "', b"\xff\x00"])
async def test_what_an_attempt_began_with_is_gone_where_a_power_cut_left_half_of_it(made, left):
    (made.trusted_dir / "began-with.json").write_bytes(left)
    with pytest.raises(FileNotFoundError):
        configuration.configuration_kept(worktree.own_dir(made.path))


async def test_what_filters_keep_beside_git_is_found_and_lfs_keeps_its_store(repository, tmp_path, git_in):
    (repository / ".git/git-crypt/keys").mkdir(parents=True)
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    trusted = made.trusted_dir
    assert (trusted / "git-crypt/keys").is_dir()
    storage = git_in(trusted)("config", "--file", str(trusted / "config"), "lfs.storage").decode().strip()
    assert storage == str((repository / ".git/lfs").resolve())
    await worktree.worktree_discard(repository, path=made.path)
    assert not worktree.own_dir(made.path).exists()
    configuration.trusted_dirs_sweep(made.path.parent)
    assert not trusted.exists()
    assert (repository / ".git/git-crypt/keys").is_dir()


async def test_written_out_includes_keep_every_value(repository, tmp_path, git_in):
    value = 'a "b" \\c; #d\te'
    git_in(repository)("config", "--file", ".git/more", "filter.a b.c.clean", value)
    git_in(repository)("config", "include.path", "more")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    trusted = made.trusted_dir
    kept = git_in(trusted)("config", "--file", str(trusted / "config"), "filter.a b.c.clean").decode()
    assert kept.removesuffix("\n") == value


async def test_attempts_that_begin_with_the_same_share_one_directory_until_the_configuration_moves(
    repository, tmp_path, git_in
):
    first = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    second = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_2", base="HEAD")
    assert second.trusted_dir == first.trusted_dir
    assert second.index != first.index
    await worktree.worktree_discard(repository, path=second.path)
    await worktree.worktree_discard(repository, path=first.path)
    del first, second
    git_in(repository)("config", "core.autocrlf", "input")
    third = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_3", base="HEAD")
    configuration.trusted_dirs_sweep(third.path.parent)
    assert list((tmp_path / "trusted").iterdir()) == [third.trusted_dir]


@pytest.mark.parametrize("name", ["config", "info/attributes", "commondir"])
async def test_a_shared_directory_that_somebody_wrote_in_is_made_anew(made, repository, name):
    before = (made.trusted_dir / "config").read_bytes()
    (made.trusted_dir / name).write_text('[filter "x"]\n\tsmudge = evil\n')
    second = await worktree.worktree_create(repository, path=made.path.with_name("att_2"), base="HEAD")
    assert (second.trusted_dir / "config").read_bytes() == before
    assert name == "config" or not (second.trusted_dir / name).exists()
    assert list(made.trusted_dir.parent.glob("*.git*")) == [made.trusted_dir]


async def test_a_pipe_in_the_place_of_a_shared_directory_is_not_waited_for(made, repository):
    before = (made.trusted_dir / "config").read_bytes()
    made.trusted_dir.rename(made.trusted_dir.with_name("aside"))
    os.mkfifo(made.trusted_dir)
    second = await worktree.worktree_create(repository, path=made.path.with_name("att_2"), base="HEAD")
    assert (second.trusted_dir / "config").read_bytes() == before
    os.mkfifo(made.trusted_dir.with_name("another"))
    configuration.trusted_dirs_sweep(made.path.parent)
    assert list(made.trusted_dir.parent.iterdir()) == [made.trusted_dir]


async def test_a_worktree_that_is_to_be_made_again_keeps_what_it_began_with(made, repository, git_in):
    began_with = dict(made.trusted.parts)
    (made.path / "README").write_text("other\n")
    await worktree.worktree_discard(repository, path=made.path, is_renewed=True)
    git_in(repository)("config", "filter.x.smudge", "evil")
    found, _ = configuration.configuration_kept(worktree.own_dir(made.path))
    assert dict(found.parts) == began_with
    git_in(repository)("config", "--remove-section", "filter.x")
    again = await worktree.worktree_create(repository, path=made.path, base="HEAD", trusted=found)
    assert (again.path / "README").read_text() == "one\ntwo\nthree\n"


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def endless(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [pipe, folder, endless])
@pytest.mark.parametrize("name", ["config", "config.worktree", "info/attributes", "info/exclude", "commondir"])
async def test_what_stands_there_and_is_no_file_is_named_at_once_and_nothing_begins(made, repository, put, name):
    (repository / ".git/info").mkdir(exist_ok=True)
    put(repository / ".git" / name)
    assert await made.configuration_changed() == (name,)
    found = await configuration.configuration_read(made.trusted.common_dir)
    assert await configuration.names_changed(found, found) == (name,)


async def test_a_repository_that_begins_with_what_is_no_file_is_refused_by_name(repository, tmp_path):
    (repository / ".git/info").mkdir(exist_ok=True)
    pipe(repository / ".git/info/attributes")
    with pytest.raises(OSError, match="can't be read: info/attributes"):
        await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    (repository / ".git/info/attributes").unlink()
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    assert await made.configuration_changed() == ()


async def test_a_hook_that_leads_nowhere_hides_no_other(made, repository):
    hooks = repository / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "a").symlink_to("gone")
    (hooks / "b").symlink_to("b")
    (hooks / "pre-commit").write_text("evil")
    assert await made.configuration_changed() == ("hooks/a", "hooks/b", "hooks/pre-commit")


@pytest.mark.parametrize(
    "left", [b"[]", b"{}", b'{"common_dir": 1, "parts": {}}', b'{"common_dir": "a", "parts": {"a": 1}}']
)
async def test_what_an_attempt_began_with_is_gone_where_it_was_damaged(made, left):
    (made.trusted_dir / "began-with.json").write_bytes(left)
    with pytest.raises(FileNotFoundError):
        configuration.configuration_kept(worktree.own_dir(made.path))


async def test_what_an_attempt_began_with_is_gone_where_a_pipe_stands(made):
    pipe(made.trusted_dir / "began-with.json")
    with pytest.raises(FileNotFoundError):
        configuration.configuration_kept(worktree.own_dir(made.path))
