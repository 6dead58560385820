"""For any two trees, whatever their names and bytes: the patch applied to the base gives exactly the recorded tree."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_daemon.worktrees import changes, paths, worktree

# A name is any bytes but NUL and slash. What git itself can't store (`.git` and its disguises) is left out.
NAMES = st.one_of(
    st.sampled_from(
        [b"a", b"b", b"src", b"-n", b" lead", b"tail ", b"a\nb", b'q"q', b"back\\slash", b"\xff\xfe", b"tab\t"]
    ),
    st.binary(min_size=1, max_size=8).filter(
        lambda name: not {0, ord("/")} & set(name) and name.strip(b". ") and b"git" not in name.lower()
    ),
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CONTENTS = st.one_of(
    st.binary(max_size=120),
    st.lists(st.sampled_from([b"x\n", b"y\n", b"\r\n", b"--- a/x\n", b"z"]), max_size=30).map(b"".join),
)


@dataclass(frozen=True)
class Entry:
    kind: str
    content: bytes


ENTRIES = st.one_of(
    st.builds(Entry, st.sampled_from(["file", "program"]), CONTENTS),
    st.builds(Entry, st.just("link"), st.binary(min_size=1, max_size=20).filter(lambda target: b"\0" not in target)),
)
TREES = st.dictionaries(PATHS, ENTRIES, max_size=8)


def lay(root: Path, tree: dict[bytes, Entry]) -> None:
    """Write the entries; a later one takes the place of what stands in its way."""
    for path, entry in tree.items():
        target = os.path.join(os.fsencode(root), path)
        parent = os.fsencode(root)
        for part in path.split(b"/")[:-1]:
            parent = os.path.join(parent, part)
            if os.path.lexists(parent) and (os.path.islink(parent) or not os.path.isdir(parent)):
                os.unlink(parent)
            os.makedirs(parent, exist_ok=True)
        if os.path.isdir(target) and not os.path.islink(target):
            shutil.rmtree(target)
        elif os.path.lexists(target):
            os.unlink(target)
        if entry.kind == "link":
            os.symlink(entry.content, target)
        else:
            with open(target, "wb") as file:
                file.write(entry.content)
            os.chmod(target, 0o755 if entry.kind == "program" else 0o644)


def seen(root: Path) -> dict[bytes, Entry]:
    """What stands below `root`, as entries."""
    found = {}
    top = os.fsencode(root)
    for folder, names, files in os.walk(top):
        if folder == top:
            names[:] = [name for name in names if name != b".git"]
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(folder, name)))]:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[os.path.relpath(path, top)] = Entry("link", os.readlink(path))
            elif path != os.path.join(top, b".git"):
                with open(path, "rb") as file:
                    kind = "program" if os.access(path, os.X_OK) and os.stat(path).st_mode & 0o100 else "file"
                    found[os.path.relpath(path, top)] = Entry(kind, file.read())
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=TREES, after=TREES, kept=st.booleans())
def test_the_patch_of_any_edit_gives_the_recorded_tree(tmp_path_factory, git_in, before, after, kept):
    home = tmp_path_factory.mktemp("round")
    root = home / "repository"
    root.mkdir()
    run = git_in(root)
    run("init", "--quiet", "--initial-branch=main")
    lay(root, before)
    run("add", "--all", "--force")
    run("commit", "--quiet", "--allow-empty", "--message", "base")
    base = seen(root)

    async def attempt() -> tuple[changes.Changes, dict[bytes, Entry]]:
        made = await worktree.worktree_create(root, path=home / "worktree", base="HEAD")
        if not kept:
            for name in os.listdir(os.fsencode(made.path)):
                if name != b".git":
                    path = os.path.join(os.fsencode(made.path), name)
                    shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        lay(made.path, after)
        edited = seen(made.path)
        taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
        await changes.worktree_remove(made, recorded_tree=taken.tree)
        return taken, edited

    taken, edited = asyncio.run(attempt())
    run("reset", "--quiet", "--hard", taken.base_commit)
    if taken.patch:
        run("apply", "--index", "--whitespace=nowarn", "-", stdin=taken.patch)
    assert run("write-tree").decode().strip() == taken.tree
    assert seen(root) == edited
    touched = {paths.path_raw(file.path) for file in taken.files}
    touched |= {paths.path_raw(file.old_path) for file in taken.files if file.old_path}
    assert touched == {path for path in base.keys() | edited.keys() if base.get(path) != edited.get(path)}
    shutil.rmtree(home)


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
