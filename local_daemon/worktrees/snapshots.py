"""The files of a worktree as one git tree, taken with our own index.

Two ways: the fast one, which is enough where the attempt made no repository inside the worktree, and the thorough one,
which records such a repository's files as ordinary files (git alone would keep a pointer to a commit that goes away
with the worktree, or refuse). Deliberately moves no ref. Called by `changes.py`.
Tests: tests/unit/daemon/worktrees/test_changes.py.
"""

import asyncio
import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local_daemon.config import home, plain_files
from local_daemon.worktrees import (
    configuration,
    deletion,
    git,
    owner_rights,
    paths,
    provisioning,
    references,
    special_files,
    worktree,
)

_TREE_NAME = "tree"
_SPECIAL_FILES_NAME = "special-files.json"
_PATHS_FROM_STDIN = ("--pathspec-from-file=-", "--pathspec-file-nul")
_GITLINK_MODE = b"\x00\x00\xe0\x00"
"""How an index writes the mode of a submodule's entry. Found elsewhere by chance, it only costs time."""
_HEX = frozenset("0123456789abcdef")
_HEAD_BYTES_MAX = 4096
_GIT_DIED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The worktree's content, and what its HEAD names: the base, or the executor's own last commit."""

    tree: str
    head_commit: str
    head_tree: str
    unrecorded: tuple[str, ...] = ()
    """Submodules that are not what the base says, by their commit or their files: the tree has them as in the base."""
    empty: tuple[str, ...] = ()
    """Submodules of the base that nobody has initialised in the worktree."""
    is_head_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a worktree's HEAD names; the base where it `is_lost`."""

    commit: str
    tree: str
    is_index_touched: bool
    """Whether the executor may have put something in git's own index."""
    is_lost: bool = False
    """Whether the executor took HEAD away: what it committed can't be known any more, what its files hold can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """Our index holds the worktree's content; `unrecorded` and `empty` as in a snapshot."""

    head: Head
    unrecorded: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


async def index_take(of: worktree.Worktree) -> Indexed:
    """Bring everything in the worktree that isn't ignored, or that the executor added nonetheless, into our index."""
    _directory_restore(of)
    if (of.path / ".gitmodules").exists():
        return await index_take_nested(of)
    head = await _head_read(of)
    await _index_prepare(of)
    if has_submodules(of):
        return await index_take_nested(of)  # `git add` would run git in there, with settings an executor may write.
    try:
        await _index_fill(of.place, inside=await _provisioned(of), nested=[], depth=1)
    except git.GitWaited:
        raise  # The thorough way would wait for it too.
    except git.GitFailed:
        # One reason is a repository inside that has no commit yet. Any other fails the thorough way again.
        return await index_take_nested(of)
    await _add_forced(of, head)
    return Indexed(head=head)


async def snapshot_write(of: worktree.Worktree, indexed: Indexed) -> Snapshot:
    """The tree of what was brought into our index."""
    tree = (await git.git(of.place, "write-tree")).line
    return Snapshot(
        tree=tree,
        head_commit=indexed.head.commit,
        head_tree=indexed.head.tree,
        unrecorded=indexed.unrecorded,
        empty=indexed.empty,
        is_head_lost=indexed.head.is_lost,
    )


async def snapshot_take_nested(of: worktree.Worktree) -> Snapshot:
    """The tree of everything, with the files of repositories inside. Walks the whole directory."""
    return await snapshot_write(of, await index_take_nested(of))


async def index_take_nested(of: worktree.Worktree) -> Indexed:
    """The same as `index_take`, with the files of repositories inside. Walks the whole directory."""
    _directory_restore(of)
    head = await _head_read(of)
    await _index_prepare(of)
    submodules = await _submodules(of, of.base_tree)
    names = provisioning.names_read(of.path)
    inside = provisioning.without(names, await asyncio.to_thread(lambda: list(_repositories_in(of.path))))
    nested = await _without_ignored(of.place, [path for path in inside if path not in submodules])
    await _index_fill(of.place, inside=[*inside, *await _provisioned(of)], nested=nested, depth=1)
    # Files in the folder of a submodule that isn't a repository here are nobody's to git, which passes over them.
    populated = [path for path in submodules if path in inside or _holds_anything(of.path / os.fsdecode(path))]
    empty = [path for path in submodules if path not in populated and (of.path / os.fsdecode(path)).is_dir()]
    changed = [path for path in populated if await _submodule_has_changed(of, path, submodules[path])]
    if head.tree != of.base_tree:
        # What the executor committed is not in its files where it left the submodule unpopulated.
        its = await _submodules(of, head.tree)
        changed += [path for path in submodules.keys() - set(populated) if its.get(path, b"") != submodules[path]]
    await _add_forced(of, head)
    return Indexed(head=head, unrecorded=_told(changed), empty=_told(empty))


def _told(found: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(paths.path_text, sorted(found)))


def has_submodules(of: worktree.Worktree) -> bool:
    """Whether there may be submodules in the tree that was recorded last."""
    return index_may_hold_submodules(of.index)


def index_may_hold_submodules(index: Path) -> bool:
    """Whether there may be submodules in what this index holds; False is certain."""
    try:
        content = plain_files.plain_read(index, bytes_max=worktree.INDEX_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return len(content) == worktree.INDEX_BYTES_MAX or _GITLINK_MODE in content


async def snapshot_remember(of: worktree.Worktree, tree: str) -> None:
    """Note which tree our index holds, for `snapshot_is_current`."""
    await asyncio.to_thread(worktree.own_write, of.path, _TREE_NAME, tree.encode())


async def snapshot_is_current(of: worktree.Worktree, tree: str) -> bool:
    """Whether the worktree certainly still holds `tree`. One command; False means: take a snapshot and compare.
    Raises GitWaited."""
    if worktree.own_text(of.path, _TREE_NAME) != tree:
        return False
    try:
        differing = await git.git(
            of.place, "ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard", sees_all=True
        )
    except git.GitWaited:
        raise  # A snapshot would wait for it too.
    except git.GitFailed:
        return False
    names = [name for name in differing.stdout.split(b"\0") if name]
    return not provisioning.without(provisioning.names_read(of.path), names)


async def obstacles_remove(of: worktree.Worktree) -> bool:
    """Do away with what keeps git from recording the worktree: what is locked up in it, of which git would record
    nothing, is opened to its owner, and what is no file where git expects one is taken away. Answers whether there was
    any. Raises GitFailed."""
    was_locked = await asyncio.to_thread(owner_rights.rights_let_below, of.path)
    return await _special_files_remove(of) or was_locked


async def _special_files_remove(of: worktree.Worktree) -> bool:
    """Take away what stands where git expects files and is none: it holds nothing to keep, and nothing else can be
    recorded while it is there. An index that git can't read is made anew. Answers whether there was any of this.
    Raises GitFailed."""
    # Nothing but the index is read: git that fails says that it is none.
    list_tracked = partial(git.git, of.place, "ls-files", "-z", "--cached", seeks_pipes=False)
    listed = await list_tracked(accepted=(0, _GIT_DIED))
    is_index_junk = listed.exit_code != 0
    if is_index_junk:
        await asyncio.to_thread(deletion.tree_delete, of.index)
        await _index_prepare(of)
        listed = await list_tracked()
    tracked = listed.stdout.split(b"\0")

    def remove() -> bool:
        found = special_files.special_files_find(of.path, tracked=filter(None, tracked))
        if found:
            # Noted first: whoever captures again after an interruption finds nothing any more.
            names = _told(os.fsencode(path.relative_to(of.path)) for path in found)
            noted = sorted({*special_files_removed(of), *names})
            home.private_write(worktree.own_place(of.path, _SPECIAL_FILES_NAME), json.dumps(noted))
            special_files.special_files_remove(of.path, found)
        return bool(found) or is_index_junk

    try:
        return await asyncio.to_thread(remove)
    except PermissionError as error:
        detail = f"what is no file can't be taken away: {error.strerror}"
        raise git.GitFailed(subcommand="add", exit_code=-1, detail=detail) from error


def special_files_removed(of: worktree.Worktree) -> tuple[str, ...]:
    """What was taken away since the worktree was made, in whichever capture."""
    return worktree.own_names(of.path, _SPECIAL_FILES_NAME)


def _directory_restore(of: worktree.Worktree) -> None:
    # An executor that deleted the directory itself deleted every file; git needs a place to see that from.
    of.path.mkdir(exist_ok=True)


async def _head_read(of: worktree.Worktree) -> Head:
    touched = _is_index_touched(of)
    # A detached HEAD at the base is the usual case, and known without asking git.
    with suppress(OSError):
        said = plain_files.plain_read(of.git_dir / "HEAD", bytes_max=_HEAD_BYTES_MAX)
        if said.rstrip(b"\n") == of.base_commit.encode():
            return Head(commit=of.base_commit, tree=of.base_tree, is_index_touched=touched)
    common_dir = of.trusted.common_dir
    heads = references.head_files(of.git_dir, common_dir=common_dir)
    references.pipes_refuse((*heads, of.git_dir / configuration.COMMON_DIR, common_dir / "packed-refs"))
    answer = await git.git(of.head_place, "rev-parse", "HEAD^{commit}", "HEAD^{tree}", accepted=(0, 128))
    commit, tree = (answer.line.split("\n") + [""])[:2]
    if answer.exit_code != 0 or not _HEX.issuperset(commit):
        # The executor left HEAD on a branch without a commit: there is nothing of it to keep. Or it left none.
        commit, tree = of.base_commit, of.base_tree
    is_lost = answer.exit_code != 0 and not os.path.lexists(of.git_dir / "HEAD")
    return Head(commit=commit, tree=tree, is_index_touched=touched, is_lost=is_lost)


def _is_index_touched(of: worktree.Worktree) -> bool:
    # Ours is as checked out until the first capture, and so is git's own, unless somebody wrote it since.
    try:
        its, ours = (of.git_dir / "index").stat(), of.index.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    return (its.st_mtime_ns, its.st_size) != (ours.st_mtime_ns, ours.st_size)


async def _index_prepare(of: worktree.Worktree) -> None:
    # The executor has ended and captures of one worktree don't overlap: a lock here is what a killed git left.
    await asyncio.to_thread(deletion.trees_delete, (_lock(of.index), of.index.with_name(_TREE_NAME)))
    await index_ensure(of)


async def index_ensure(of: worktree.Worktree) -> None:
    """Make our index anew where it is gone, or an executor put something else there: git would wait for a pipe."""
    if not of.index.is_file():
        await asyncio.to_thread(deletion.trees_delete, (_lock(of.index), of.index))
        await git.git(of.place, "read-tree", of.base_commit)


def _lock(index: Path) -> Path:
    return index.with_name(f"{index.name}.lock")


async def _add_forced(of: worktree.Worktree, head: Head) -> None:
    """Add what the executor itself put past an ignore rule (`git add -f`), by its index or its commits."""
    its_index = of.git_dir / "index"
    if head.commit == of.base_commit and not (head.is_index_touched and its_index.is_file()):
        return
    names = []
    if its_index.is_file():
        its_place = dataclasses.replace(of.place, index=its_index)
        names = (await git.git(
            its_place, "ls-files", "-z", "--cached", "--ignored", "--exclude-standard", accepted=(0, 128)
        )).stdout.split(b"\0")  # fmt: skip
    if head.commit != of.base_commit:
        names += (await git.git(
            of.place, "diff-tree", "-r", "-z", "--name-only", "--diff-filter=A", of.base_commit, head.commit
        )).stdout.split(b"\0")  # fmt: skip
    root = os.fsencode(of.path)
    wanted = provisioning.without(provisioning.names_read(of.path), filter(None, names))
    present = {name for name in wanted if os.path.lexists(os.path.join(root, name))}
    if present:
        await git.git(
            of.place, "add", "--force", "--sparse", *_PATHS_FROM_STDIN,
            stdin=b"\0".join(sorted(present)), env={"GIT_LITERAL_PATHSPECS": "1"},
        )  # fmt: skip


async def _submodules(of: worktree.Worktree, tree: str) -> dict[bytes, bytes]:
    """The commit of each submodule in a tree, by path."""
    listing = await git.git(of.place, "ls-tree", "-r", "-z", tree)
    records = (record.partition(b"\t") for record in listing.stdout.split(b"\0") if record)
    return {path: entry.split(b" ")[2] for entry, _, path in records if entry.startswith(b"160000 ")}


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and any(folder.iterdir())


async def _submodule_has_changed(of: worktree.Worktree, path: bytes, commit: bytes) -> bool:
    """Whether a populated submodule has another commit, or other files than its commit."""
    if not (of.path / os.fsdecode(path) / ".git").exists():
        return True
    place = git.GitPlace(directory=of.path / os.fsdecode(path))
    # Its own configuration is the executor's; this command runs nothing that it names.
    answer = await git.git(place, "rev-parse", "HEAD^{commit}", "HEAD^{tree}", accepted=(0, 128))
    if answer.exit_code != 0:
        return True
    its_commit, its_tree = answer.line.split("\n")
    return its_commit != commit.decode() or its_tree != await _nested_tree(of.place, os.fsdecode(path), depth=1)


def _repositories_in(root: Path) -> Iterator[bytes]:
    """The directories below `root` that are repositories of their own, the outermost only."""
    top = os.fsencode(root)
    for folder, names, files in os.walk(top):
        if folder != top and (b".git" in names or b".git" in files):
            yield os.path.relpath(folder, top)
            names.clear()
        elif b".git" in names:
            names.remove(b".git")


async def _without_ignored(place: git.GitPlace, found: Collection[bytes]) -> list[bytes]:
    if not found:
        return []
    answer = await git.git(place, "check-ignore", "-z", "--stdin", stdin=b"\0".join(found), accepted=(0, 1))
    ignored = set(answer.stdout.split(b"\0"))
    return [path for path in found if path not in ignored]


async def _provisioned(of: worktree.Worktree) -> list[bytes]:
    """What was provisioned and no rule ignores: `git add` has to be told to pass over it, and may not be told of the
    rest, nor of what would lie behind a link."""
    names = (name for name in provisioning.names_read(of.path) if provisioning.has_real_parents(of.path, name))
    return await _without_ignored(of.place, list(map(os.fsencode, names)))


async def _index_fill(place: git.GitPlace, *, inside: list[bytes], nested: list[bytes], depth: int) -> None:
    """Add all files but those `inside` (repositories, and what was provisioned), then the files of the `nested` ones as
    ordinary files."""
    if inside:
        pathspecs = b"\0".join([b".", *(b":(exclude,literal)" + path for path in inside)])
        await git.git(place, "add", "--all", "--sparse", *_PATHS_FROM_STDIN, stdin=pathspecs, sees_all=True)
    else:
        await git.git(place, "add", "--all", "--sparse", sees_all=True)
    for path in nested:
        tree = await _nested_tree(place, os.fsdecode(path), depth=depth)
        await git.git(
            place, "rm", "-r", "-f", "--quiet", "--cached", "--ignore-unmatch", "--sparse", *_PATHS_FROM_STDIN,
            stdin=path, env={"GIT_LITERAL_PATHSPECS": "1"},
        )  # fmt: skip
        await git.git(place, "read-tree", f"--prefix={os.fsdecode(path)}/", tree)


async def _nested_tree(outer: git.GitPlace, path: str, *, depth: int) -> str:
    assert outer.index is not None
    directory = outer.directory / path
    index = outer.index.with_name(f"nested-index-{depth}")
    await asyncio.to_thread(deletion.trees_delete, (_lock(index), index))
    place = dataclasses.replace(outer, directory=directory, index=index)
    inside = await asyncio.to_thread(lambda: list(_repositories_in(directory)))
    await _index_fill(place, inside=inside, nested=await _without_ignored(place, inside), depth=depth + 1)
    return (await git.git(place, "write-tree")).line
