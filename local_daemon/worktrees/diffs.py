"""The difference between a commit and a tree: one binary-safe patch, and the list of changed files, from one command.

The same two trees give the same bytes on every machine: no setting of a person's configuration reaches the patch.
Deliberately not a parser of patches, which travel as they are. Called by `changes.py`, `folder_applying.py`.
Tests: tests/unit/daemon/worktrees/test_changes.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from local_daemon.worktrees import git, paths

_OPTIONS = (
    "-z", "--raw", "--numstat", "--patch", "--binary", "--full-index", "--find-renames=50%",
    "--unified=3", "--src-prefix=a/", "--dst-prefix=b/", "--no-ext-diff", "--no-textconv", "--no-color",
    "--diff-algorithm=myers", "--submodule=short", "--ignore-submodules=none",
)  # fmt: skip
_GITLINK_MODE = b"160000"
LINK_MODE = b"120000"

Entry = tuple[bytes, bytes]
"""A file's mode and the object that holds its content."""

ABSENT: Entry = (b"000000", b"")
"""No file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """One path that changed. `status` is git's letter (A M D R T); counts are None for binary content.
    Paths are text as in `paths.py`."""

    path: str
    old_path: str | None
    status: str
    additions: int | None
    deletions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A patch and what it touches, in path order."""

    patch: bytes
    files: tuple[ChangedFile, ...]
    has_new_gitlink: bool
    """Something became a pointer to a commit of another repository, whose content this patch doesn't hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawChange:
    """One path as git has it, and what it was and is."""

    path: bytes
    before: Entry
    after: Entry


async def diff_read(place: git.GitPlace, *, base: str, tree: str) -> Difference:
    """The difference from commit or tree `base` to `tree`. Raises GitOutputTooLarge, GitFailed."""
    answer = await git.git(place, "diff-tree", "-r", *_OPTIONS, base, tree)
    return _parse(answer.stdout)


async def diff_index_read(place: git.GitPlace, *, base: str) -> Difference:
    """The same difference from `base` to the tree that the index of `place` would be written as."""
    answer = await git.git(place, "diff-index", "--cached", *_OPTIONS, base)
    return _parse(answer.stdout)


async def links_read(place: git.GitPlace, *, base: str, tree: str) -> list[tuple[str, str]]:
    """Each symbolic link that is new or other in commit or tree `tree` than in `base`: its path and its target."""
    found = []
    for change in await raw_changes(place, base, tree):
        mode, blob = change.after
        if mode == LINK_MODE:
            target = await git.git(place, "cat-file", "blob", blob.decode())
            found.append((paths.path_text(change.path), paths.path_text(target.stdout)))
    return found


async def raw_changes(place: git.GitPlace, old: str, new: str) -> list[RawChange]:
    """Each path that differs between two commits or trees, in path order; a rename is a path that goes and one that
    comes."""
    listed = await git.git(place, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new)
    fields = listed.stdout.split(b"\0")
    found = []
    for header, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, old_object, new_object, _ = header[1:].split(b" ")
        found.append(RawChange(path=path, before=_entry(old_mode, old_object), after=_entry(new_mode, new_object)))
    return found


def _entry(mode: bytes, content: bytes) -> Entry:
    return ABSENT if mode == ABSENT[0] else (mode, content)


def has_links(patch: bytes) -> bool:
    """Whether the patch can possibly make a symbolic link; asked first, because it costs nothing."""
    return LINK_MODE in patch


@dataclass(frozen=True, slots=True, kw_only=True)
class _RawRecord:
    old_mode: bytes
    new_mode: bytes
    status: str
    old_path: bytes | None
    path: bytes


def _parse(output: bytes) -> Difference:
    """Split the three parts: raw records, numstat records, an empty field, then the patch."""
    raw: list[_RawRecord] = []
    at = 0
    while output.startswith(b":", at):
        header, at = _field(output, at)
        old_mode, new_mode, _, _, status = header[1:].split(b" ")
        path, at = _field(output, at)
        old_path = None
        if status[:1] in b"RC":
            old_path, (path, at) = path, _field(output, at)
        raw.append(
            _RawRecord(old_mode=old_mode, new_mode=new_mode, status=status[:1].decode(), old_path=old_path, path=path)
        )
    counts: dict[bytes, tuple[int | None, int | None]] = {}
    while at < len(output) and not output.startswith(b"\0", at):
        record, at = _field(output, at)
        additions, deletions, path = record.split(b"\t", 2)
        if not path:
            _, at = _field(output, at)
            path, at = _field(output, at)
        counts[path] = (_count(additions), _count(deletions))
    files = tuple(_changed_files(raw, counts))
    has_new_gitlink = any(_GITLINK_MODE == record.new_mode != record.old_mode for record in raw)
    patch = _headers_quoted(output[at + 1 :], [record.path for record in raw if b" /" in record.path])
    return Difference(patch=patch, files=files, has_new_gitlink=has_new_gitlink)


def _headers_quoted(patch: bytes, names: list[bytes]) -> bytes:
    """Quote these names where a file's header has them twice. `git apply` gives up on an unquoted name at a folder
    that ends in a space, if the header is all that names the file: an empty or binary one, a change of mode."""
    for name in names:
        plain = b"diff --git a/%b b/%b\n" % (name, name)
        quoted = b'diff --git "a/%b" "b/%b"\n' % (name, name)
        # Content never begins a line like this: its lines have a sign in front, or are base85.
        patch = patch.replace(b"\n" + plain, b"\n" + quoted)
        if patch.startswith(plain):
            patch = quoted + patch.removeprefix(plain)
    return patch


def _changed_files(raw: list[_RawRecord], counts: dict[bytes, tuple[int | None, int | None]]) -> Iterator[ChangedFile]:
    for record in raw:
        additions, deletions = counts[record.path]
        yield ChangedFile(
            path=paths.path_text(record.path),
            old_path=None if record.old_path is None else paths.path_text(record.old_path),
            status=record.status,
            additions=additions,
            deletions=deletions,
        )


def _field(output: bytes, at: int) -> tuple[bytes, int]:
    end = output.index(b"\0", at)
    return output[at:end], end + 1


def _count(text: bytes) -> int | None:
    return None if text == b"-" else int(text)
