"""The operator's own checkout, looked at and moved on by a git that reads no setting which an attempt may be writing.

Settings, attributes and excludes come from a directory of ours, made of what was there before whatever is at work (ADR
0007); files and index are the checkout's. So nothing depends on what happens between a look at the configuration and
git's own. Deliberately moves no reference. Called by `uncommitted.py` and `applying.py`.
Tests: tests/unit/daemon/worktrees/test_hostile_configuration.py.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.worktrees import bindings, configuration, git

_NO_COMMIT = "ref: refs/heads/none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A checkout, where git keeps its state, and where git works on its files, its index and the repository's objects.
    There are no references in `content`."""

    directory: Path
    git_dir: Path
    content: git.GitPlace


async def content_place(root: Path, *, trusted_root: Path) -> git.GitPlace:
    """Where git works on the objects of the repository at `root`, also a bare one: no references and no index.
    Raises ConfigurationChanged, GitFailed."""
    common_dir = bindings.common_dir_find(root)
    trusted = await configuration.configuration_trusted(common_dir)
    own_settings = trusted.parts.get(configuration.CONFIG_WORKTREE)
    trusted_dir = configuration.trusted_dir_make(trusted, trusted_root, git_dir=common_dir, own_settings=own_settings)
    return git.GitPlace(directory=root, git_dir=trusted_dir, objects=common_dir / "objects")


async def checkout_open(directory: Path, *, trusted_root: Path) -> Checkout:
    """The checkout in `directory`. Raises FileNotFoundError where there is none, another OSError where its index is no
    file, ConfigurationChanged, GitFailed."""
    git_dir = bindings.git_dir_find(directory)
    if git_dir is None:
        raise FileNotFoundError("no checkout")
    plain_files.pipe_refuse(git_dir / "index")
    common_dir = bindings.common_dir_find(directory)
    trusted = await configuration.configuration_trusted(common_dir)
    if git_dir.resolve() == common_dir.resolve():
        own_settings = trusted.parts.get(configuration.CONFIG_WORKTREE)
    else:
        own_settings = await configuration.sparse_settings(git_dir)
    trusted_dir = configuration.trusted_dir_make(trusted, trusted_root, git_dir=git_dir, own_settings=own_settings)
    content = git.GitPlace(
        directory=directory, git_dir=trusted_dir, objects=common_dir / "objects", index=git_dir / "index"
    )
    return Checkout(directory=directory, git_dir=git_dir, content=content)


@contextmanager
def head_at(checkout: Checkout, commit: str | None, *, trusted_root: Path) -> Iterator[git.GitPlace]:
    """Where HEAD is this commit, or none yet: what `git status` compares with."""
    own = trusted_root / f"{secrets.token_hex(8)}.head"
    own.mkdir(mode=0o700)
    try:
        (own / "HEAD").write_text(f"{commit or _NO_COMMIT}\n")
        yield git.GitPlace(
            directory=checkout.directory,
            git_dir=own,
            common_dir=checkout.content.git_dir,
            index=checkout.content.index,
        )
    finally:
        shutil.rmtree(own, ignore_errors=True)
