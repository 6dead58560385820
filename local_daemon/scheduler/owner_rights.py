"""Giving the daemon its rights back on an attempt's own folders, where a program of the attempt took them away.

Such a program runs as the same user, so it may lock up what it finds: only root could then still read what was printed
and noted. Deliberately follows no link, takes no right from anybody, and looks no deeper than where our own files lie.
Called where an executor, a hook or a check has ended, by `execution`, `provision`, `checks` and `clearing`, and by
`beginning` for what an earlier life left. Tests: tests/integration/daemon/test_locked_folders.py.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from local_daemon.protocol import ids
from local_daemon.scheduler import workshop
from local_daemon.worktrees import owner_rights, worktree


async def rights_give_back(shop: workshop.Workshop, attempt_id: ids.AttemptId, *also: Path) -> None:
    """Let us read and write again in the attempt's worktree, in its scratch, in what lies beside its worktree, and in
    those other folders of ours. Of what nobody can give back says whoever reads there."""
    place = shop.worktree_path(attempt_id)
    folders = (shop.scratch_path(attempt_id), worktree.own_dir(place), *also)
    await asyncio.to_thread(_give_back, place, folders)


def _give_back(place: Path, folders: Sequence[Path]) -> None:
    owner_rights.rights_let(place)  # What lies in it is the attempt's result, permissions included.
    for folder in folders:
        owner_rights.rights_let(folder)
        for path in _within(folder):
            owner_rights.rights_let(path)


def _within(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return
    with suppress(OSError):
        yield from folder.iterdir()
