"""The git configuration a repository had before an attempt: kept, worked with, and compared afterwards (ADR 0007).

An attempt's worktree shares `.git` with the repository, so what runs there can write settings that name commands: a
filter, a hook, an alias. The daemon's own git never reads those: commands that touch content work in a small trusted
git directory made from what is kept here, one for all attempts that begin with the same. Deliberately restores nothing;
a person decides what to keep.
Called by `worktree.py`, `changes.py`, the scheduler. Tests: tests/unit/daemon/worktrees/test_configuration.py.
"""

import errno
import hashlib
import json
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from local_daemon.config import plain_files
from local_daemon.protocol import errors
from local_daemon.worktrees import deletion, git

TRUSTED_FOLDER = "trusted"
"""The folder of the shared directories, beside the one of the worktrees."""

CONFIG, CONFIG_WORKTREE, ATTRIBUTES, EXCLUDE = "config", "config.worktree", "info/attributes", "info/exclude"
COMMON_DIR = "commondir"
"""Where there is one, git reads all of the others elsewhere."""

_PATTERNS = "info/sparse-checkout"
_FLAT = "flat"
_HOOKS = "hooks"
_BEGAN_WITH = "began-with.json"
_TRUSTED = "trusted"
_NAMES_MAX = 10
_BYTES_MAX = 16 * 1024 * 1024
"""A longer file counts as one that can't be read."""
_KEPT_BYTES_MAX = 32 * _BYTES_MAX

# Includes are read where they stand, and a table of references belongs to one directory: both are written out instead.
_NEEDS_FLAT = re.compile(rb"include|refstorage", re.IGNORECASE)
_LEFT_OUT = re.compile(r"include\.|includeif\.|extensions\.refstorage$")
_PLAIN_SUBSECTION = re.compile(r"[A-Za-z0-9._-]{1,60}")

# What git and editors write in daily work, and what names no command. A value that was there before is never harmless.
_HARMLESS = re.compile(
    r"branch\..*\.(remote|merge|rebase|description|vscode-merge-base|github-pr-owner-number)$"
    r"|remote\..*\.(url|fetch|tagopt)$|submodule\..*\.(url|active)$|user\.(name|email)$"
    r"|lfs\.repositoryformatversion$|lfs\..*\.(access|locksverify)$",
    re.DOTALL,
)

_SPARSE = frozenset({"core.sparsecheckout", "core.sparsecheckoutcone", "index.sparse"})

_READ_BY_GIT = frozenset({CONFIG_WORKTREE, ATTRIBUTES, EXCLUDE, _PATTERNS, COMMON_DIR})
_FOLDERS_OF_GIT = frozenset({
    "branches", "hooks", "info", "logs", "modules", "objects", "refs", "reftable", "remotes", "worktrees",
    "rebase-apply", "rebase-merge", "sequencer",
})  # fmt: skip

Values = Mapping[str, list[str]]


class ConfigurationChanged(Exception):
    """The repository's git configuration was changed while an attempt ran; look at it before anything else runs."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"the repository's git configuration was changed while an attempt ran: {names_listed(names)}")
        self.names = names


class RepositoryLedElsewhere(ConfigurationChanged):
    """The repository's git directory holds a `commondir`, which leads git to another repository; no repository has one
    of its own. Look at it, and take it away, before anything else runs."""

    def __init__(self) -> None:
        super().__init__((COMMON_DIR,))

    def __str__(self) -> str:
        return errors.default_message(RepositoryLedElsewhere)


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Configuration:
    """What a repository's worktrees share besides objects and references, by file; a missing file has no part. What is
    `unreadable` has none either, and is never what it was."""

    common_dir: Path
    parts: Mapping[str, bytes]
    unreadable: tuple[str, ...] = ()


# Attempts that overlap share the configuration from before the first of them: whatever one of them changes, the next
# neither works with it nor takes it for the repository's own.
_in_use: WeakValueDictionary[Path, Configuration] = WeakValueDictionary()


async def configuration_read(common_dir: Path) -> Configuration:
    """The configuration as it is now. Starts git only where the configuration includes other files."""
    parts, unreadable = {}, []
    for name in (CONFIG, CONFIG_WORKTREE, ATTRIBUTES, EXCLUDE, COMMON_DIR, _HOOKS):
        try:
            parts[name] = _hooks_read(common_dir) if name == _HOOKS else _part_read(common_dir / name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            unreadable.append(name)
    if _NEEDS_FLAT.search(parts.get(CONFIG, b"")):
        place = git.GitPlace(directory=common_dir, git_dir=common_dir, common_dir=common_dir)
        # Where git can't read it, it holds nothing, which is another configuration than any that can be read.
        try:
            listed = await git.git(place, "config", "--local", "--includes", "--list", "-z", accepted=(0, 1, 128))
        except git.GitFailed:  # What it includes may have no end.
            unreadable.append(CONFIG)
        else:
            parts[_FLAT] = listed.stdout if listed.exit_code == 0 else b""
    return Configuration(common_dir=common_dir, parts=parts, unreadable=tuple(unreadable))


def configuration_in_use(common_dir: Path) -> Configuration | None:
    """What the attempts at work in this repository began with; None while there are none."""
    return _in_use.get(common_dir)


async def configuration_trusted(common_dir: Path, *, began_with: Configuration | None = None) -> Configuration:
    """The configuration to begin with: the one that attempts at work began with, or else the current one.
    Raises ConfigurationChanged where the current one is not what those, or this attempt itself, began with, and OSError
    where there is nothing to begin with that could be read."""
    now = await configuration_read(common_dir)
    trusted = began_with or configuration_in_use(common_dir)
    if trusted is None:
        if COMMON_DIR in (*now.parts, *now.unreadable):
            raise RepositoryLedElsewhere
        if now.unreadable:
            raise OSError(errno.EIO, f"git configuration that can't be read: {names_listed(now.unreadable)}")
        trusted = _in_use.setdefault(common_dir, now)
    names = await names_changed(trusted, now)
    if names:
        raise ConfigurationChanged(names)
    return trusted


async def names_changed(before: Configuration, after: Configuration) -> tuple[str, ...]:
    """What could make git run something, or act otherwise, and isn't as it was: settings, attributes and hooks by
    name, never a value. Empty in the ordinary case, after comparing a few bytes."""
    if before.parts == after.parts and not after.unreadable:
        return ()
    names = [*after.unreadable, *_hooks_changed(before, after)]
    names.extend(name for name in (ATTRIBUTES, COMMON_DIR) if before.parts.get(name) != after.parts.get(name))
    for part in (CONFIG, CONFIG_WORKTREE):
        if part not in after.unreadable:
            names.extend(await _settings_changed(before, after, part))
    return tuple(dict.fromkeys(names))


def names_listed(names: tuple[str, ...]) -> str:
    """The first of the names, in words."""
    more = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def trusted_dir_ensure(trusted: Configuration, own_dir: Path, *, git_dir: Path) -> Path:
    """The git directory that commands which touch an attempt's content work in, see `trusted_dir_make`; `own_dir` keeps
    its name for a later daemon."""
    folder = own_dir.parent.with_name(TRUSTED_FOLDER)
    own_settings = trusted.parts.get(CONFIG_WORKTREE)
    directory = trusted_dir_make(trusted, folder, git_dir=git_dir, own_settings=own_settings)
    link = trusted_link(own_dir)
    if not link.is_symlink():
        link.symlink_to(os.path.join(os.pardir, os.pardir, TRUSTED_FOLDER, directory.name))
    return directory


def trusted_dir_make(trusted: Configuration, folder: Path, *, git_dir: Path, own_settings: bytes | None) -> Path:
    """A git directory in `folder`: the trusted configuration, no references, no index. Who begins with the same shares
    it. `own_settings` are the worktree's own, and `git_dir` has its sparse patterns. Made anew if anything in it isn't
    as it was made."""
    files = _trusted_files(trusted, git_dir, own_settings)
    links = dict(_filters_folders(trusted.common_dir))
    described = [(name, content.decode("latin-1")) for name, content in sorted(files.items())]
    digest = hashlib.sha256(json.dumps([described, sorted(links.items())]).encode()).hexdigest()[:32]
    directory = folder / f"{digest}.git"
    if not _is_as_made(directory, files, links):
        fresh = directory.with_name(f"{directory.name}.{secrets.token_hex(8)}")
        directory.parent.mkdir(mode=0o700, exist_ok=True)
        for folder in (fresh, fresh / "refs", fresh / "info"):
            folder.mkdir(mode=0o700)
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        for name, target in links.items():
            (fresh / name).symlink_to(target)
        _put_in_place(fresh, directory)
    return directory


async def sparse_settings(git_dir: Path) -> bytes | None:
    """Of a worktree that a person made, the settings that say which of its files are there. Of the others nobody knows
    since when they are what they are."""
    try:
        content = _part_read(git_dir / CONFIG_WORKTREE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    place = git.GitPlace(directory=git_dir, git_dir=git_dir)
    listed = await git.git(place, "config", "--file", "-", "--no-includes", "--list", "-z", stdin=content)
    kept = [f"{name}\n{value}" for name, value in _settings(listed.stdout) if name in _SPARSE and value is not None]
    return _written_out("\0".join(kept).encode())


def trusted_link(own_dir: Path) -> Path:
    """The name under which an attempt's own directory keeps what it began with."""
    return own_dir / _TRUSTED


def configuration_kept(own_dir: Path) -> tuple[Configuration, Path]:
    """What the attempt with this directory began with, and where commands that touch content work.
    Raises FileNotFoundError, also where it was lost with the machine's power before it was all written, or damaged."""
    try:
        trusted_dir = own_dir.parent.with_name(TRUSTED_FOLDER) / os.path.basename(os.readlink(trusted_link(own_dir)))
        kept = json.loads(plain_files.plain_read(trusted_dir / _BEGAN_WITH, bytes_max=_KEPT_BYTES_MAX))
        common_dir = Path(kept["common_dir"])
        parts = {name: content.encode("latin-1") for name, content in kept["parts"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FileNotFoundError(_BEGAN_WITH) from error
    found = _in_use.setdefault(common_dir, Configuration(common_dir=common_dir, parts=parts))
    return found, trusted_dir


def configuration_moved(began_with: Configuration, common_dir: Path) -> Configuration:
    """The same, of a repository that lies elsewhere by now."""
    return _in_use.setdefault(common_dir, replace(began_with, common_dir=common_dir))


def trusted_dirs_sweep(worktrees: Path) -> None:
    """Take away the shared directories that no attempt's own directory names any more. Nothing may be at work."""
    used = {os.path.basename(os.readlink(link)) for link in worktrees.glob(f"*/{_TRUSTED}") if link.is_symlink()}
    for directory in worktrees.with_name(TRUSTED_FOLDER).glob("*"):
        if directory.name not in used:
            with suppress(OSError):
                deletion.tree_delete(directory)


def _trusted_files(trusted: Configuration, git_dir: Path, own_settings: bytes | None) -> dict[str, bytes]:
    flat = trusted.parts.get(_FLAT)
    content = trusted.parts.get(CONFIG, b"") if flat is None else _written_out(flat)
    # In front, so that a setting of the repository's own wins.
    storage = _escaped(str(trusted.common_dir / "lfs")).encode("utf-8", errors="surrogateescape")
    kept = {name: part.decode("latin-1") for name, part in trusted.parts.items()}
    files = {
        "HEAD": b"ref: refs/heads/none\n",
        CONFIG: b'[lfs]\n\tstorage = "%b"\n' % storage + content,
        _BEGAN_WITH: json.dumps({"common_dir": str(trusted.common_dir), "parts": kept}).encode(),
    }
    files |= {name: trusted.parts[name] for name in (ATTRIBUTES, EXCLUDE) if name in trusted.parts}
    if own_settings is not None:
        files[CONFIG_WORKTREE] = own_settings
    with suppress(FileNotFoundError, NotADirectoryError):
        files[_PATTERNS] = _part_read(git_dir / _PATTERNS)
    return files


def _filters_folders(common_dir: Path) -> Iterator[tuple[str, str]]:
    """Objects, where a shallow clone's history ends, and what filters keep in folders of their own beside git's
    (`.git/git-crypt`)."""
    yield "objects", str(common_dir / "objects")
    if (common_dir / "shallow").exists():
        yield "shallow", str(common_dir / "shallow")
    with os.scandir(common_dir) as entries:
        for entry in entries:
            if entry.name not in _FOLDERS_OF_GIT and not entry.name.startswith("ropeway-") and entry.is_dir():
                yield entry.name, entry.path


def _is_as_made(directory: Path, files: Mapping[str, bytes], links: Mapping[str, str]) -> bool:
    try:
        return (
            all(plain_files.plain_holds(directory / name, content) for name, content in files.items())
            and all(os.readlink(directory / name) == target for name, target in links.items())
            and not any(os.path.lexists(directory / name) for name in _READ_BY_GIT - files.keys())
        )
    except OSError:
        return False


def _put_in_place(fresh: Path, directory: Path) -> None:
    """Move a finished directory to its name. Another attempt may have just done so; a damaged one makes room."""
    try:
        fresh.rename(directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        damaged = directory.with_name(f"{directory.name}.{secrets.token_hex(8)}")
        directory.rename(damaged)
        fresh.rename(directory)
        deletion.tree_delete(damaged)


def _part_read(path: Path) -> bytes:
    content = plain_files.plain_read(path, bytes_max=_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise OSError(errno.EFBIG, "too long")
    return content


def _hooks_read(common_dir: Path) -> bytes:
    try:
        return json.dumps(dict(_hooks(common_dir / _HOOKS))).encode()
    except (FileNotFoundError, NotADirectoryError):
        return b"{}"


def _hooks(directory: Path) -> Iterator[tuple[str, list[int]]]:
    # The time of the last change can't be set back, unlike that of the last write; so nothing has to be read.
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.name.endswith(".sample"):
                try:
                    stat = entry.stat()
                except OSError:  # A link that leads nowhere is there all the same, beside others that lead somewhere.
                    stat = entry.stat(follow_symlinks=False)
                yield entry.name, [stat.st_mode, stat.st_size, stat.st_ino, stat.st_ctime_ns]


def _hooks_changed(before: Configuration, after: Configuration) -> Iterator[str]:
    old, new = (json.loads(each.parts.get(_HOOKS, b"{}")) for each in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield _shown(f"hooks/{name}")


async def _settings_changed(before: Configuration, after: Configuration, part: str) -> list[str]:
    both_flat = part == CONFIG and _FLAT in before.parts and _FLAT in after.parts
    key = _FLAT if both_flat else part
    if before.parts.get(key) == after.parts.get(key):
        return []
    old, new = await _values(before, key), await _values(after, key)
    if old is None or new is None:
        return [part]  # It can't be read any more, or could not be.
    return [
        _shown(name)
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not (_HARMLESS.match(name) and not (name in old and name in new))
    ]


async def _values(of: Configuration, key: str) -> Values | None:
    """The settings of a part by name; None where git can't read it."""
    content = of.parts.get(key, b"")
    if key != _FLAT:
        place = git.GitPlace(directory=of.common_dir)
        try:
            content = (
                await git.git(place, "config", "--file", "-", "--no-includes", "--list", "-z", stdin=content)
            ).stdout
        except git.GitFailed:
            return None
    values = defaultdict(list)
    for name, value in _settings(content):
        values[name].append(value or "")
    return values


def _settings(listed: bytes) -> Iterator[tuple[str, str | None]]:
    """Names and values as `git config --list -z` writes them; None for a name without a value."""
    for record in listed.decode("utf-8", errors="surrogateescape").split("\0"):
        if record:
            name, has_value, value = record.partition("\n")
            yield name, value if has_value else None


def _written_out(listed: bytes) -> bytes:
    """The same settings as a file, includes already resolved."""
    lines = []
    for name, value in _settings(listed):
        if _LEFT_OUT.match(name):
            continue
        section, _, rest = name.partition(".")
        subsection, has_subsection, variable = rest.rpartition(".")
        lines.append(f'[{section} "{_escaped(subsection)}"]' if has_subsection else f"[{section}]")
        lines.append(f"\t{variable}" if value is None else f'\t{variable} = "{_escaped(value)}"')
    return "".join(f"{line}\n" for line in lines).encode("utf-8", errors="surrogateescape")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _shown(name: str) -> str:
    """A name that may leave the machine: what stands in the middle may be a path or an address, then it is left out."""
    first, _, rest = name.partition(".")
    middle, has_middle, last = rest.rpartition(".")
    if first.startswith("hooks/"):
        return name if _PLAIN_SUBSECTION.fullmatch(name.removeprefix("hooks/")) else "hooks/…"
    if not has_middle:
        return name
    return f"{first}.{middle if _PLAIN_SUBSECTION.fullmatch(middle) else '…'}.{last}"
