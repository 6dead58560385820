"""What a worktree needs beside the commit's files: `[worktree]` in `.ropeway/repository.toml`, as the operator has it.

`copy` and `link` bring files that git doesn't keep (`.env`, `node_modules`) over from the repository's folder; `hook`
is a command for the rest. None of it is ever part of a patch, of the list of ignored files, or of what leaves the
machine, whatever an executor does to ignore rules or the index. Starts nothing (the scheduler runs the hook).
Called by the scheduler, `snapshots.py`, `ignored.py`. Tests: tests/unit/daemon/worktrees/test_provisioning.py.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pydantic import Field, ValidationError

from local_daemon.config import plain_files, repository_file
from local_daemon.protocol import faults, limits, wire
from local_daemon.worktrees import agreed, environment_files, git, paths, worktree

COPIED_BYTES_MAX = 256 * 1024 * 1024
"""How much may be copied into each worktree; `link` what is larger."""

NAMES_MAX = 1000
_NAMES = "provisioned.json"
_ENVIRONMENT_NAMES = "environment-files.json"
_ENVIRONMENT_BYTES_MAX = 1024 * 1024
"""So much of an environment file is looked through for secrets."""

_ATTRIBUTES = b".gitattributes\0"
_ATTRIBUTES_BYTES_MAX = 16 * 1024 * 1024
_COMPRESSED_NAMES = b"DIRC\0\0\0\4"
"""How an index of version 4 begins: of a name it holds only what differs from the one before."""
_LFS_LINE = r"^[[:space:]]*[^#[:space:]].*filter=lfs"
_LFS = re.compile(rb"^[ \t]*[^#\s].*filter=lfs", re.MULTILINE)


class ProvisioningFailed(Exception):
    """The worktree could not be prepared as .ropeway/repository.toml says; correct that file, or what it names."""


class Table(wire.WireModel):
    """`[worktree]`: paths below the repository's folder, and a command line for `sh -c`."""

    copied: tuple[str, ...] = Field(default=(), alias="copy", max_length=limits.LIST_ITEMS)
    linked: tuple[str, ...] = Field(default=(), alias="link", max_length=limits.LIST_ITEMS)
    hook: str | None = Field(default=None, min_length=1, max_length=limits.TEXT_BYTES)
    hook_timeout_s: int = Field(default=300, ge=1, le=limits.STEP_TIMEOUT_S_MAX)


async def table_read(root: Path, *, trusted_root: Path | None = None) -> Table:
    """What the repository that begins at `root` asks for; nothing where it has no such file. `trusted_root` as in
    `agreed.file_read`. Raises ProvisioningFailed."""
    try:
        content = await agreed.file_read(root, trusted_root=trusted_root)
    except repository_file.RepositoryFileInvalid as error:
        raise ProvisioningFailed(str(error)) from error
    return Table() if content is None else table_parse(content)


def table_parse(content: bytes) -> Table:
    """What this text of the repository's file asks for. Raises ProvisioningFailed."""
    try:
        return Table.model_validate(repository_file.tables_parse(content).get("worktree", {}))
    except repository_file.RepositoryFileInvalid as error:
        raise ProvisioningFailed(str(error)) from error
    except ValidationError as error:
        found = "; ".join(f"worktree.{item['field']}: {item['problem']}" for item in faults.field_faults(error))
        raise ProvisioningFailed(f"{repository_file.PLACE}: {found}") from error


def files_bring(of: worktree.Worktree, table: Table, *, repository_root: Path) -> None:
    """Copy and link what the table names and this machine has. Raises ProvisioningFailed. Blocking: call it in a
    thread."""
    wanted = {name: _source(repository_root, name) for name in (*table.copied, *table.linked)}
    present = {name: source for name, source in wanted.items() if os.path.lexists(source)}
    _names_write(of, _NAMES, present)  # First: what a crash leaves half-brought must not be taken for an edit.
    _names_write(of, _ENVIRONMENT_NAMES, (
        found
        for name, source in present.items()
        for found in _environment_files(name, source, is_linked=name in table.linked)
    ))  # fmt: skip
    left_bytes = COPIED_BYTES_MAX
    for name, source in present.items():
        target = of.path / name
        if os.path.lexists(target):
            raise ProvisioningFailed(f"{name}: is in the repository already; only what git doesn't keep can be brought")
        _parents_make(of.path, name)
        if name in table.linked:
            target.symlink_to(source)
            continue
        left_bytes -= _size_bytes(source)
        if left_bytes < 0:
            raise ProvisioningFailed(f"{name}: more than {COPIED_BYTES_MAX} bytes to copy; link it instead")
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)


async def hook_made_note(of: worktree.Worktree) -> None:
    """After the hook: whatever it made belongs to nobody's edits. Raises ProvisioningFailed where it changed files of
    the commit, which would show as edits of the attempt."""
    changed = await git.git(of.place, "ls-files", "-z", "--modified", "--deleted")
    if changed.stdout:
        names = sorted({paths.path_text(name) for name in changed.stdout.split(b"\0") if name})
        raise ProvisioningFailed(f"the hook changed files of the commit: {', '.join(names[:5])}")
    made = await git.git(of.place, "ls-files", "-z", "--others", "--directory")
    names = [os.fsdecode(name).rstrip("/") for name in made.stdout.split(b"\0") if name]
    if len(names) > NAMES_MAX:
        raise ProvisioningFailed(f"the hook made {len(names)} files and folders; put them in fewer folders")
    await asyncio.to_thread(_made_note, of, names)


def _made_note(of: worktree.Worktree, names: Sequence[str]) -> None:
    """Also the environment files in folders that the hook made."""
    _names_write(of, _NAMES, {*names_read(of.path), *names})
    found = {each for name in names for each in _environment_files(name, of.path / name, is_linked=False)}
    _names_write(of, _ENVIRONMENT_NAMES, {*worktree.own_names(of.path, _ENVIRONMENT_NAMES), *found})


async def lfs_require(of: worktree.Worktree) -> None:
    """Refuse a commit whose files git-lfs keeps, where git-lfs isn't set up: an executor would see and change pointers.
    Starts git only where the commit has attributes in its folders, or names LFS. Raises ProvisioningFailed."""
    if await _names_lfs(of):
        known = await git.git(of.place, "config", "--get", "filter.lfs.process", accepted=(0, 1))
        if not known.line:
            raise ProvisioningFailed("the repository keeps files in Git LFS: install git-lfs, then `git lfs install`")


async def _names_lfs(of: worktree.Worktree) -> bool:
    index = plain_files.plain_read(of.index, bytes_max=worktree.INDEX_BYTES_MAX)
    if _ATTRIBUTES not in index and not index.startswith(_COMPRESSED_NAMES):
        return False
    with suppress(OSError):
        if _LFS.search(plain_files.plain_read(of.path / ".gitattributes", bytes_max=_ATTRIBUTES_BYTES_MAX)):
            return True
    if b"/" + _ATTRIBUTES not in index and not index.startswith(_COMPRESSED_NAMES):
        return False
    found = await git.git(
        of.place, "grep", "--cached", "--quiet", "-E", "-e", _LFS_LINE, "--", ":(top,glob)**/.gitattributes",
        accepted=(0, 1),
    )  # fmt: skip
    return found.exit_code == 0


def names_read(path: Path) -> tuple[str, ...]:
    """What was brought or made beside the commit's files in the worktree at `path`; folders without a slash."""
    return worktree.own_names(path, _NAMES)


def without(names: Sequence[str], found: Iterable[bytes]) -> list[bytes]:
    """Those of git's paths that are neither provisioned nor below something that is."""
    raw = [os.fsencode(name) for name in names]
    return [
        path for path in found if not any(path.rstrip(b"/") == name or path.startswith(name + b"/") for name in raw)
    ]


def has_real_parents(root: Path, name: str) -> bool:
    """Whether this path below `root` goes through no link, nor through anything else that is no folder."""
    parents = [root / each for each in Path(name).parents]
    return all(each.is_dir() and not each.is_symlink() for each in parents if os.path.lexists(each))


def secrets_read(path: Path, *, repository_root: Path) -> dict[str, str]:
    """The secrets in environment files (`.env`, `.env.local`, `test.env`) that were brought, also with their folder: no
    log may show them. They are read where they came from, since an executor may write to what it got."""
    found: dict[str, str] = {}
    for name in dict.fromkeys((*names_read(path), *worktree.own_names(path, _ENVIRONMENT_NAMES))):
        if environment_files.is_environment_file(PurePosixPath(name).name):
            environment_files.secrets_note(_environment_read(repository_root / name), found)
    return found


def secrets_made(path: Path) -> dict[str, str]:
    """The secrets in such files as they are in the worktree at `path`, some of which its hook may have made. Before an
    executor starts there."""
    return secrets_read(path, repository_root=path)


def _environment_read(path: Path) -> str:
    try:
        content = plain_files.plain_read(path, bytes_max=_ENVIRONMENT_BYTES_MAX)
    except OSError:
        return ""
    return content.decode("utf-8-sig", errors="surrogateescape")


def _environment_files(name: str, source: Path, *, is_linked: bool) -> Iterator[str]:
    """The environment files in a folder that is brought; of one that is linked, which may be as large as
    `node_modules`, only those that lie directly in it."""
    for folder, _, files in os.walk(source):
        below = PurePosixPath(name) / Path(folder).relative_to(source)
        yield from (str(below / file) for file in files if environment_files.is_environment_file(file))
        if is_linked:
            return


def _source(root: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    is_inside = bool(parts) and "/" not in parts and ".." not in parts and ".git" not in map(str.lower, parts)
    source = root / name
    if not is_inside or "\0" in name or not source.parent.resolve().is_relative_to(root.resolve()):
        raise ProvisioningFailed(f"{name}: not a path below the repository's folder")
    if source.is_symlink() and not source.resolve().is_relative_to(root.resolve()):
        raise ProvisioningFailed(f"{name}: leads out of the repository's folder")
    return source


def _parents_make(root: Path, name: str) -> None:
    parent = (root / name).parent
    if not parent.resolve().is_relative_to(root.resolve()):
        raise ProvisioningFailed(f"{name}: its folder leads out of the worktree")
    parent.mkdir(parents=True, exist_ok=True)


def _size_bytes(source: Path) -> int:
    if not source.is_dir():
        return source.stat().st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(source) for name in names)


def _names_write(of: worktree.Worktree, kind: str, names: Iterable[str]) -> None:
    kept = sorted(str(PurePosixPath(name)) for name in names)
    if kept:
        worktree.own_write(of.path, kind, json.dumps(kept).encode())
