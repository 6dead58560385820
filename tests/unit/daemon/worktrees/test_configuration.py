"""What a repository shares with its worktrees: kept as it was, compared by name, never shown by value."""

import os

import pytest

from local_daemon.worktrees import configuration, inspection, worktree


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
    found = configuration.configuration_kept(made.trusted.common_dir, worktree.trusted_dir(made.path))
    assert dict(found.parts) == kept
    now = await configuration.configuration_read(await inspection.common_dir_find(repository))
    assert await configuration.names_changed(found, now) == ("alias.x",)


async def test_what_filters_keep_beside_git_is_found_and_lfs_keeps_its_store(repository, tmp_path, git_in):
    (repository / ".git/git-crypt/keys").mkdir(parents=True)
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    trusted = worktree.trusted_dir(made.path)
    assert (trusted / "git-crypt/keys").is_dir()
    storage = git_in(trusted)("config", "--file", str(trusted / "config"), "lfs.storage").decode().strip()
    assert storage == str((repository / ".git/lfs").resolve())
    await worktree.worktree_discard(repository, path=made.path)
    assert (repository / ".git/git-crypt/keys").is_dir()
    assert not trusted.exists()


async def test_written_out_includes_keep_every_value(repository, tmp_path, git_in):
    value = 'a "b" \\c; #d\te'
    git_in(repository)("config", "--file", ".git/more", "filter.a b.c.clean", value)
    git_in(repository)("config", "include.path", "more")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    trusted = worktree.trusted_dir(made.path)
    kept = git_in(trusted)("config", "--file", str(trusted / "config"), "filter.a b.c.clean").decode()
    assert kept.removesuffix("\n") == value
