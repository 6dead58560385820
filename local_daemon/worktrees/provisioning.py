"""What a worktree needs beside the commit's files: `[worktree]` in the base's `.ropeway/repository.toml`.

`copy` and `link` bring files that git doesn't keep (`.env`, `node_modules`) over from the repository's folder; `hook`
is a command for the rest. None of it is ever part of a patch, of the list of ignored files, or of what leaves the
machine, whatever an executor does to ignore rules or the index. Starts nothing (the scheduler runs the hook).
Called by the scheduler, `snapshots.py`, `ignored.py`. Tests: tests/unit/daemon/worktrees/test_provisioning.py.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pydantic import Field, ValidationError

from local_daemon.config import repository_file
from local_daemon.protocol import envelopes, limits, wire
from local_daemon.worktrees import git, paths, worktree

COPIED_BYTES_MAX = 256 * 1024 * 1024
"""How much may be copied into each worktree; `link` what is larger."""

NAMES_MAX = 1000
_FILE_BYTES_MAX = 64 * 1024
_NAMES = "provisioned.json"
_SETTING = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_ENVIRONMENT_FILE = re.compile(r"\.env(\..+)?$|.+\.env$")


class ProvisioningFailed(Exception):
    """The worktree could not be prepared as .ropeway/repository.toml says; correct that file, or what it names."""


class Table(wire.WireModel):
    """`[worktree]`: paths below the repository's folder, and a command line for `sh -c`."""

    copied: tuple[str, ...] = Field(default=(), alias="copy", max_length=limits.LIST_ITEMS)
    linked: tuple[str, ...] = Field(default=(), alias="link", max_length=limits.LIST_ITEMS)
    hook: str | None = Field(default=None, min_length=1, max_length=limits.TEXT_BYTES)
    hook_timeout_s: int = Field(default=300, ge=1, le=limits.STEP_TIMEOUT_S_MAX)


def table_read(of: worktree.Worktree) -> Table:
    """What the base asks for; nothing where it has no such file. Raises ProvisioningFailed."""
    path = of.path / repository_file.PLACE
    try:
        with open(path, "rb", opener=_without_links) as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Table()
    except OSError as error:
        raise ProvisioningFailed(f"{repository_file.PLACE}: {error.strerror}") from error
    if len(content) > _FILE_BYTES_MAX:
        raise ProvisioningFailed(f"{repository_file.PLACE}: longer than {_FILE_BYTES_MAX} bytes")
    try:
        return Table.model_validate(repository_file.tables_parse(content).get("worktree", {}))
    except repository_file.RepositoryFileInvalid as error:
        raise ProvisioningFailed(str(error)) from error
    except ValidationError as error:
        found = "; ".join(f"worktree.{item['field']}: {item['problem']}" for item in envelopes.readable_errors(error))
        raise ProvisioningFailed(f"{repository_file.PLACE}: {found}") from error


def files_bring(of: worktree.Worktree, table: Table, *, repository_root: Path) -> None:
    """Copy and link what the table names and this machine has. Raises ProvisioningFailed. Blocking: call it in a
    thread."""
    wanted = {name: _source(repository_root, name) for name in (*table.copied, *table.linked)}
    present = {name: source for name, source in wanted.items() if os.path.lexists(source)}
    _names_write(of, present)  # First: what a crash leaves half-brought must not be taken for an edit.
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
    _names_write(of, {*names_read(of.path), *names})


async def lfs_require(of: worktree.Worktree) -> None:
    """Refuse a commit whose files git-lfs keeps, where git-lfs isn't set up: an executor would see and change pointers.
    Raises ProvisioningFailed."""
    try:
        attributes = (of.path / ".gitattributes").read_bytes()
    except OSError:
        return
    if b"filter=lfs" in attributes:
        known = await git.git(of.place, "config", "--get", "filter.lfs.process", accepted=(0, 1))
        if not known.line:
            raise ProvisioningFailed("the repository keeps files in Git LFS: install git-lfs, then `git lfs install`")


def names_read(path: Path) -> tuple[str, ...]:
    """What was brought or made beside the commit's files in the worktree at `path`; folders without a slash."""
    try:
        return tuple(json.loads((worktree.own_dir(path) / _NAMES).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()


def without(names: Sequence[str], found: Iterable[bytes]) -> list[bytes]:
    """Those of git's paths that are neither provisioned nor below something that is."""
    raw = [os.fsencode(name) for name in names]
    return [
        path for path in found if not any(path.rstrip(b"/") == name or path.startswith(name + b"/") for name in raw)
    ]


def secrets_read(path: Path, *, repository_root: Path) -> dict[str, str]:
    """The values in environment files (`.env`, `.env.local`, `test.env`) that were brought: no log may show them."""
    found: dict[str, str] = {}
    for name in names_read(path):
        if not _ENVIRONMENT_FILE.fullmatch(PurePosixPath(name).name):
            continue
        try:
            text = (repository_root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            if match := _SETTING.match(line):
                found[match[1]] = match[2].strip("\"'")
    return found


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


def _names_write(of: worktree.Worktree, names: Iterable[str]) -> None:
    kept = sorted(str(PurePosixPath(name)) for name in names)
    if kept:
        (worktree.own_dir(of.path) / _NAMES).write_text(json.dumps(kept), encoding="utf-8")


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)
