"""Where the daemon's git finds a repository's references, whatever an attempt wrote into the repository.

From a directory in the repository git follows the `commondir` beside `HEAD`, which an attempt may write, to references
elsewhere, whatever the environment says. So it starts in a small directory of ours that leads there, as a linked
worktree's does; one for all attempts of a repository. Only for commands that run neither filters nor anything else.
What the daemon asks of a repository for itself goes the same way; a HEAD is named there by whose it is.
Called by whoever reads or writes references. Tests: tests/unit/daemon/worktrees/test_references.py.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from local_daemon.config import plain_files
from local_daemon.worktrees import bindings, configuration, deletion, git

_REFS = "refs"
_HEAD = "HEAD"
_KEEPS_TABLES = re.compile(rb"refstorage\s*=\s*\"?reftable", re.IGNORECASE)
_HEAD_BYTES_MAX = 4096
_CONFIG_BYTES_MAX = 16 * 1024 * 1024
_PACKED = "packed-refs"
_PACKED_BYTES_MAX = 512 * 1024 * 1024
_READ_BY_GIT = ("config", _PACKED, "shallow")
_CHECKOUTS_OWN = re.compile(r"(?:@(?!\{)|(?:(?:ORIG|FETCH|MERGE|CHERRY_PICK|REVERT|REBASE|BISECT)_)?HEAD)(?=$|[\^~@:])")
"""What begins a name that means something else in each checkout."""

_PLACES = ("", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/")
"""Where git looks for what a name stands for."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+/-]{0,250}")


def repository_place(root: Path, *, trusted_root: Path) -> git.GitPlace:
    """Where the daemon itself asks for references and objects of the repository at `root`, and moves references: not
    by way of the repository's own directory. There is no HEAD (`name_there`). Raises RepositoryNotThere,
    RepositoryDiverted, GitFailed."""
    return place_at(bindings.common_dir_find(root), trusted_root=trusted_root)


def place_at(common_dir: Path, *, trusted_root: Path) -> git.GitPlace:
    """The same, for a repository with this shared directory, whether it is known or not. Raises as above."""
    pipes_refuse(common_dir / name for name in _READ_BY_GIT)
    return refs_place(common_dir, trusted_root=trusted_root)


def name_there(root: Path, name: str) -> str:
    """What a branch, tag, commit or HEAD of the checkout at `root` is called in `repository_place`. Raises GitFailed
    where git would wait for what stands in its place."""
    common_dir = bindings.common_dir_find(root)
    git_dir = (bindings.git_dir_find(root) or root).resolve()
    own = _CHECKOUTS_OWN.match(name)
    if own is None:
        if _PLAIN_NAME.fullmatch(name):
            pipes_refuse(common_dir / f"{place}{name}" for place in _PLACES)
        return name
    said = _HEAD if own[0] == "@" else own[0]
    pipes_refuse((git_dir / said, *head_files(git_dir, common_dir=common_dir)))
    whose = "main-worktree" if git_dir == common_dir else f"worktrees/{git_dir.name}"
    return f"{whose}/{said}{name[own.end() :]}"


def head_files(git_dir: Path, *, common_dir: Path) -> Iterator[Path]:
    """What git reads to find what is checked out: HEAD, and the branch that it names."""
    yield git_dir / _HEAD
    with suppress(OSError, UnicodeDecodeError):
        said = plain_files.plain_read(git_dir / _HEAD, bytes_max=_HEAD_BYTES_MAX).decode()
        branch = said.removeprefix("ref:").strip()
        if branch.startswith("refs/") and ".." not in branch:
            yield common_dir / branch


def pipes_refuse(files: Iterable[Path]) -> None:
    """Raises GitFailed where git would wait for one of them until it is ended."""
    for file in files:
        try:
            plain_files.pipe_refuse(file)
        except OSError as error:
            detail = f"{file.name}: {error.strerror}"
            raise git.GitFailed(subcommand="rev-parse", exit_code=-1, detail=detail) from error


def refs_place(common_dir: Path, *, trusted_root: Path) -> git.GitPlace:
    """Where the references of the repository with this shared directory are read and written: there is no HEAD, and no
    index. `trusted_root` is where directories of ours lie."""
    digest = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:32]
    directory = trusted_root / f"{digest}.refs"
    files = {
        _HEAD: b"ref: refs/heads/none\n",
        configuration.COMMON_DIR: os.fsencode(common_dir) + b"\n",
    }
    if not _is_as_made(directory, files):
        deletion.tree_delete(directory)
        trusted_root.mkdir(mode=0o700, exist_ok=True)
        (directory / _REFS).mkdir(mode=0o700, parents=True)
        for name, content in files.items():
            (directory / name).write_bytes(content)
    return git.GitPlace(directory=directory, git_dir=directory, common_dir=common_dir)


def lock_let_go(common_dir: Path, ref: str) -> bool:
    """Take away the lock of an attempt's own reference; answers whether there was one. Only when git has waited for it,
    and nothing of ours is at work on it: it is what a killed git left, and nobody else would ever take it away."""
    with suppress(OSError):
        (common_dir / f"{ref}.lock").unlink()
        return True
    return False


def keeps_tables(common_dir: Path) -> bool:
    """Whether the configuration that stands there now says so: what an attempt may have written."""
    try:
        content = plain_files.plain_read(common_dir / configuration.CONFIG, bytes_max=_CONFIG_BYTES_MAX)
    except OSError:
        return False
    return _KEEPS_TABLES.search(content) is not None


def refs_elsewhere(common_dir: Path, wanted: Mapping[str, str]) -> dict[str, str | None]:
    """Which of these references do not name the commit beside them, as the repository's files say, and what each names
    instead: None where it is gone. No git is started. Of a repository that keeps tables of references, which only git
    reads, none is said.
    Git that packs references writes them all down before it takes away their files, and one that is moved then has a
    file again: so the files come first, and once more for what was found nowhere."""
    if keeps_tables(common_dir):
        return {}
    loose = {name: _loose(common_dir / name) for name in wanted}
    if all(loose[name] == commit for name, commit in wanted.items()):
        return {}
    packed = dict(_packed(common_dir))
    found = {name: loose[name] or packed.get(name) for name in wanted}
    elsewhere = {name: _loose(common_dir / name) or said for name, said in found.items() if said != wanted[name]}
    return {name: said for name, said in elsewhere.items() if said != wanted[name]}


def _loose(file: Path) -> str | None:
    try:
        return plain_files.plain_read(file, bytes_max=_HEAD_BYTES_MAX).decode("ascii", errors="replace").strip()
    except OSError:
        return None


def _packed(common_dir: Path) -> Iterator[tuple[str, str]]:
    try:
        content = plain_files.plain_read(common_dir / _PACKED, bytes_max=_PACKED_BYTES_MAX)
    except OSError:
        return
    for line in content.splitlines():
        commit, _, name = line.partition(b" ")
        yield os.fsdecode(name), commit.decode("ascii", errors="replace")


def _is_as_made(directory: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return set(os.listdir(directory)) == {*files, _REFS} and all(
            plain_files.plain_holds(directory / name, content) for name, content in files.items()
        )
    except OSError:
        return False
