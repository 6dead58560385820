"""Spare checkouts: where making one takes long, the next attempt's is made while nobody waits for it.

A spare is a folder of files and an index, in the daemon's home: no worktree of the repository, so nobody sees it. It is
brought to the wanted commit and found clean, ignored files and empty folders too, before an attempt gets it; otherwise
it is thrown away. One spare a repository, and of the repositories used last only. Deliberately registers nothing
(`worktree.py`). Owned by the scheduler. Tests: tests/unit/daemon/worktrees/test_pool.py.
"""

import asyncio
import logging
import os
import secrets
import shutil
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local_daemon.worktrees import deletion, git

logger = logging.getLogger(__name__)

WORTH_S = 0.05
"""A checkout that is made faster needs no spare."""

REPOSITORIES_MAX = 4
_TREE, _INDEX = "tree", "index"
_BY_ALL_SIGNS = ("-c", "core.trustCtime=true", "-c", "core.checkStat=default", "-c", "core.ignoreStat=false")
"""How git tells whether a file was written to: also by what can't be set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a checkout is made of: where git works on the repository's content, and the commit."""

    common_dir: Path
    trusted_dir: Path
    commit: str

    def place(self, *, directory: Path, index: Path) -> git.GitPlace:
        """Where git fills `directory`."""
        return git.GitPlace(
            directory=directory, git_dir=self.trusted_dir, objects=self.common_dir / "objects", index=index
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """A checkout nobody uses yet."""

    folder: Path
    source: Source

    @property
    def tree(self) -> Path:
        """Its files."""
        return self.folder / _TREE

    @property
    def index(self) -> Path:
        """Git's account of them."""
        return self.folder / _INDEX


class Pool:
    """The spares of one life of the daemon, below one directory of its own."""

    def __init__(self, root: Path, *, worth_s: float = WORTH_S) -> None:
        """Makes nothing before `fill`, and only where a checkout took longer than `worth_s`."""
        self._root = root
        self._life = root / secrets.token_hex(8)
        self._worth_s = worth_s
        self._spares: OrderedDict[Path, Spare] = OrderedDict()
        self._wanted: dict[Path, Source] = {}
        self._filling: dict[Path, asyncio.Task[None]] = {}

    async def take(self, source: Source) -> Spare | None:
        """A clean checkout of exactly this commit, now the caller's to move away; None where there is none."""
        spare = self._spares.pop(source.common_dir, None)
        if spare is None:
            return None
        if spare.source.trusted_dir == source.trusted_dir and await _is_clean_at(spare, source):
            return spare
        await asyncio.to_thread(shutil.rmtree, spare.folder, ignore_errors=True)
        return None

    def want(self, source: Source, *, took_s: float | None) -> None:
        """Note that such a checkout was needed, and how long it took to make; None where there was a spare."""
        if took_s is None or took_s >= self._worth_s:
            self._wanted[source.common_dir] = source

    def fill(self) -> None:
        """Begin to make what is wanted, in the background: called when an attempt has got under way, so that nobody
        waits for it."""
        for common_dir, source in self._wanted.items():
            if common_dir not in self._spares and common_dir not in self._filling:
                task = asyncio.create_task(self._make(source), name="spare checkout")
                self._filling[common_dir] = task
                task.add_done_callback(partial(self._made, common_dir))
        self._wanted.clear()

    async def let_go(self) -> None:
        """Take every spare away that is made: the room is needed."""
        spares = list(self._spares.values())
        self._spares.clear()
        for spare in spares:
            await asyncio.to_thread(shutil.rmtree, spare.folder, ignore_errors=True)

    def leftovers_remove(self) -> None:
        """Take away what earlier lives left. Blocking: call it in a thread."""
        if self._root.is_dir():
            for life in self._root.iterdir():
                if life != self._life:
                    with suppress(OSError):
                        deletion.tree_delete(life)

    async def settle(self) -> None:
        """Wait until what is being made is made."""
        await asyncio.gather(*self._filling.values(), return_exceptions=True)

    async def close(self) -> None:
        """End what is being made, and take every spare away."""
        for task in list(self._filling.values()):
            task.cancel()
        await self.settle()
        self._spares.clear()
        await asyncio.to_thread(shutil.rmtree, self._life, ignore_errors=True)

    def _made(self, common_dir: Path, _: asyncio.Task[None]) -> None:
        self._filling.pop(common_dir, None)

    async def _make(self, source: Source) -> None:
        folder = self._life / secrets.token_hex(8)
        try:
            (folder / _TREE).mkdir(mode=0o700, parents=True)
            place = source.place(directory=folder / _TREE, index=folder / _INDEX)
            await git.git(place, *_BY_ALL_SIGNS, "read-tree", "-m", "-u", source.commit)
        except (git.GitFailed, OSError):
            # The attempt that makes its own will say what is wrong.
            logger.warning("no spare checkout", exc_info=True, extra={"event": "spare.failed"})
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            return
        self._spares[source.common_dir] = Spare(folder=folder, source=source)
        while len(self._spares) > REPOSITORIES_MAX:
            _, oldest = self._spares.popitem(last=False)
            await asyncio.to_thread(shutil.rmtree, oldest.folder, ignore_errors=True)


async def _is_clean_at(spare: Spare, wanted: Source) -> bool:
    place = wanted.place(directory=spare.tree, index=spare.index)
    with suppress(git.GitFailed):
        if spare.source.commit != wanted.commit:
            if await _is_written_otherwise(place, spare.source.commit, wanted.commit):
                return False
            await git.git(place, *_BY_ALL_SIGNS, "read-tree", "-m", "-u", spare.source.commit, wanted.commit)
        # Without the usual excludes: ignored files count, and so do folders with nothing in them.
        found, holds_git = await asyncio.gather(
            git.git(place, *_BY_ALL_SIGNS, "ls-files", "-z", "--modified", "--deleted", "--others", "--directory"),
            asyncio.to_thread(_holds_git, spare.tree),
        )
        return not found.stdout and not holds_git
    return False


async def _is_written_otherwise(place: git.GitPlace, before: str, after: str) -> bool:
    """Whether attributes differ, by which files that are the same may have to be written in another way."""
    changed = await git.git(
        place, "diff-tree", "-r", "-z", "--name-only", before, after, "--", ":(top,glob)**/.gitattributes"
    )
    return bool(changed.stdout)


def _holds_git(tree: Path) -> bool:
    """Whether there is anything that git would take for its own, which it never lists."""
    return any(".git" in folders or ".git" in files for _, folders, files in os.walk(tree))
