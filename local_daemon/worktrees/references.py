"""Where the daemon's git finds a repository's references, whatever an attempt wrote into the repository.

From a directory in the repository git follows the `commondir` beside `HEAD`, which an attempt may write, to references
elsewhere, whatever the environment says. So it starts in a small directory of ours that leads there, as a linked
worktree's does; one for all attempts of a repository. Only for commands that run neither filters nor anything else.
Called by `worktree.py`, `changes.py`, `folders.py`. Tests: tests/unit/daemon/worktrees/test_references.py.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local_daemon.worktrees import configuration, git

_TABLES = b"extensions.refstorage\nreftable"
_FLAT = "flat"
_REFS = "refs"


def refs_place(common_dir: Path, *, own_dir: Path) -> git.GitPlace:
    """Where the references of the repository with this shared directory are read and written: there is no HEAD, and no
    index. `own_dir` is one beside those of the attempts."""
    digest = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:32]
    directory = own_dir.parent.with_name(configuration.TRUSTED_FOLDER) / f"{digest}.refs"
    files = {
        "HEAD": b"ref: refs/heads/none\n",
        configuration.COMMON_DIR: os.fsencode(common_dir) + b"\n",
    }
    if not _is_as_made(directory, files):
        shutil.rmtree(directory, ignore_errors=True)
        (directory / _REFS).mkdir(mode=0o700, parents=True)
        for name, content in files.items():
            (directory / name).write_bytes(content)
    return git.GitPlace(directory=directory, git_dir=directory, common_dir=common_dir)


def has_tables(began_with: configuration.Configuration) -> bool:
    """Whether the repository keeps references in tables: one of them is each worktree's own, and no other directory
    leads to them."""
    return _TABLES in began_with.parts.get(_FLAT, b"")


def lock_let_go(common_dir: Path, ref: str) -> bool:
    """Take away the lock of an attempt's own reference; answers whether there was one. Only when git has waited for it,
    and nothing of ours is at work on it: it is what a killed git left, and nobody else would ever take it away."""
    with suppress(OSError):
        (common_dir / f"{ref}.lock").unlink()
        return True
    return False


def _is_as_made(directory: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return set(os.listdir(directory)) == {*files, _REFS} and all(
            (directory / name).read_bytes() == content for name, content in files.items()
        )
    except OSError:
        return False
