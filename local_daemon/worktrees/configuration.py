"""The git configuration a repository had before an attempt: kept, worked with, and compared afterwards (ADR 0007).

An attempt's worktree shares `.git` with the repository, so what runs there can write settings that name commands: a
filter, a hook, an alias. The daemon's own git never reads those: commands that touch content work in a small trusted
git directory made from what is kept here. Deliberately restores nothing; a person decides what to keep.
Called by `worktree.py`, `changes.py`, the scheduler. Tests: tests/unit/daemon/worktrees/test_configuration.py.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from local_daemon.worktrees import git

CONFIG, CONFIG_WORKTREE, ATTRIBUTES, EXCLUDE = "config", "config.worktree", "info/attributes", "info/exclude"
_FLAT = "flat"
_HOOKS = "hooks"
_PARTS = "parts.json"
_NAMES_MAX = 10

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


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Configuration:
    """What a repository's worktrees share besides objects and references, by file; a missing file has no part."""

    common_dir: Path
    parts: Mapping[str, bytes]


# Attempts that overlap share the configuration from before the first of them: whatever one of them changes, the next
# neither works with it nor takes it for the repository's own.
_in_use: WeakValueDictionary[Path, Configuration] = WeakValueDictionary()


async def configuration_read(common_dir: Path) -> Configuration:
    """The configuration as it is now. Starts git only where the configuration includes other files."""
    parts = {}
    for name in (CONFIG, CONFIG_WORKTREE, ATTRIBUTES, EXCLUDE):
        try:
            parts[name] = (common_dir / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
    parts[_HOOKS] = json.dumps(dict(_hooks(common_dir / _HOOKS))).encode()
    if _NEEDS_FLAT.search(parts.get(CONFIG, b"")):
        place = git.GitPlace(directory=common_dir, git_dir=common_dir)
        # Where git can't read it, it holds nothing, which is another configuration than any that can be read.
        listed = await git.git(place, "config", "--local", "--includes", "--list", "-z", accepted=(0, 1, 128))
        parts[_FLAT] = listed.stdout if listed.exit_code == 0 else b""
    return Configuration(common_dir=common_dir, parts=parts)


async def configuration_trusted(common_dir: Path, *, began_with: Configuration | None = None) -> Configuration:
    """The configuration to begin with: the one that attempts at work began with, or else the current one.
    Raises ConfigurationChanged where the current one is not what those, or this attempt itself, began with."""
    now = await configuration_read(common_dir)
    trusted = began_with or _in_use.setdefault(common_dir, now)
    names = await names_changed(trusted, now)
    if names:
        raise ConfigurationChanged(names)
    return trusted


async def names_changed(before: Configuration, after: Configuration) -> tuple[str, ...]:
    """What could make git run something, or act otherwise, and isn't as it was: settings, attributes and hooks by
    name, never a value. Empty in the ordinary case, after comparing a few bytes."""
    if before.parts == after.parts:
        return ()
    names = list(_hooks_changed(before, after))
    if before.parts.get(ATTRIBUTES) != after.parts.get(ATTRIBUTES):
        names.append(ATTRIBUTES)
    for part in (CONFIG, CONFIG_WORKTREE):
        names.extend(await _settings_changed(before, after, part))
    return tuple(names)


def names_listed(names: tuple[str, ...]) -> str:
    """The first of the names, in words."""
    more = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def trusted_dir_make(trusted: Configuration, directory: Path, *, git_dir: Path, commit: str) -> None:
    """Make the git directory that commands which touch content work in: the trusted configuration, no references."""
    for folder in (directory, directory / "refs", directory / "info"):
        folder.mkdir(mode=0o700)
    (directory / "HEAD").write_text(f"{commit}\n")
    flat = trusted.parts.get(_FLAT)
    content = trusted.parts.get(CONFIG, b"") if flat is None else _written_out(flat)
    # In front, so that a setting of the repository's own wins.
    storage = _escaped(str(trusted.common_dir / "lfs")).encode("utf-8", errors="surrogateescape")
    (directory / CONFIG).write_bytes(b'[lfs]\n\tstorage = "%b"\n' % storage + content)
    _filters_folders_link(trusted.common_dir, directory)
    for name in (ATTRIBUTES, EXCLUDE):
        if name in trusted.parts:
            (directory / name).write_bytes(trusted.parts[name])
    # A worktree's own settings: read now, while only git has written them.
    for name in (CONFIG_WORKTREE, "info/sparse-checkout"):
        if (git_dir / name).exists():
            (directory / name).write_bytes((git_dir / name).read_bytes())
    kept = {name: content.decode("latin-1") for name, content in trusted.parts.items()}
    (directory / _PARTS).write_text(json.dumps(kept), encoding="utf-8")


def configuration_kept(common_dir: Path, directory: Path) -> Configuration:
    """The configuration that a trusted directory was made from. Raises FileNotFoundError."""
    kept = json.loads((directory / _PARTS).read_text(encoding="utf-8"))
    parts = {name: content.encode("latin-1") for name, content in kept.items()}
    return _in_use.setdefault(common_dir, Configuration(common_dir=common_dir, parts=parts))


def _filters_folders_link(common_dir: Path, directory: Path) -> None:
    """Filters keep what they need in folders of their own beside git's (`.git/git-crypt`)."""
    with os.scandir(common_dir) as entries:
        for entry in entries:
            if entry.name not in _FOLDERS_OF_GIT and not entry.name.startswith("ropeway-") and entry.is_dir():
                (directory / entry.name).symlink_to(entry.path)


def _hooks(directory: Path) -> Iterator[tuple[str, list[int]]]:
    # The time of the last change can't be set back, unlike that of the last write; so nothing has to be read.
    try:
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.name.endswith(".sample"):
                    stat = entry.stat()
                    yield entry.name, [stat.st_mode, stat.st_size, stat.st_ino, stat.st_ctime_ns]
    except (FileNotFoundError, NotADirectoryError):
        return


def _hooks_changed(before: Configuration, after: Configuration) -> Iterator[str]:
    old, new = json.loads(before.parts[_HOOKS]), json.loads(after.parts[_HOOKS])
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
