"""How a life of the daemon begins: a new epoch, every repository bound to where it is, and what is left at work found.

Deliberately brings no attempt to its end (`recovery` does, loaded where there is one), and starts nothing. Called by
`loop`. Tests: tests/integration/daemon/test_bootstrap.py, test_epochs.py, test_bound_repositories.py, test_folders.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local_daemon.attempts import selectors as attempt_selectors
from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import ids, states
from local_daemon.repositories import selectors as repository_selectors
from local_daemon.repositories import services as repositories
from local_daemon.repositories.records import Repository
from local_daemon.scheduler import owner_rights, places, workshop
from local_daemon.steps import selectors as step_selectors
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import bindings, configuration, folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The epoch of this life, and the newest attempts of the steps that earlier ones left at work."""

    epoch: int
    unfinished: Sequence[Attempt]


async def life_begin(shop: workshop.Workshop) -> Begun:
    """Begin a new epoch, in which git works where the repositories are bound to; what an earlier life left in our own
    git directories, and nobody works with, is taken away."""
    known = shop.database.read(repository_selectors.repositories_known)
    seen = await asyncio.to_thread(_bindings_seen, known)
    epoch = await shop.database.write("epoch_begin", partial(_epoch_begin, seen=seen, folders_path=shop.folders_path))
    for repository in shop.database.read(repository_selectors.repositories_known):
        bindings.bind(repository.git_root, repository.binding)
    shop.places.update(shop.database.read(places.places_all))
    unfinished = shop.database.read(_attempts_at_work)
    busy = shop.database.read(partial(_roots_at_work, unfinished=unfinished, shop=shop))
    await asyncio.to_thread(folders.leftovers_remove, shop.folders_path, busy=busy)
    for attempt in unfinished:  # Also for the sweep: what it can't see it takes for what nobody works with.
        await owner_rights.rights_give_back(shop, attempt.attempt_id)
    await asyncio.to_thread(configuration.trusted_dirs_sweep, shop.worktrees)
    return Begun(epoch=epoch, unfinished=unfinished)


def _epoch_begin(tx: Transaction, *, seen: Mapping[ids.RepositoryId, str], folders_path: Path) -> int:
    repositories.repositories_bind(tx, seen)
    repositories.folders_settle(tx, folders=folders_path)
    return attempts.epoch_begin(tx, at_work=step_selectors.steps_at_work(tx.connection))


def _bindings_seen(known: Sequence[Repository]) -> dict[ids.RepositoryId, str]:
    """To what those may be bound that nobody has bound yet; one that is gone is bound once it is back."""
    seen = {}
    for repository in (each for each in known if each.binding is None):
        with suppress(bindings.RepositoryNotThere):
            seen[repository.repository_id] = bindings.binding_of(repository.git_root)
    return seen


def _attempts_at_work(conn: Connection) -> tuple[Attempt, ...]:
    return attempt_selectors.attempts_newest(conn, step_selectors.steps_at_work(conn))


def _roots_at_work(conn: Connection, *, unfinished: Sequence[Attempt], shop: workshop.Workshop) -> frozenset[Path]:
    """Where git works for attempts of an earlier life that may have left processes: all but those of which not even the
    worktree's hook was started."""
    began = {
        attempt.repository_id
        for attempt in unfinished
        if attempt.state is not states.AttemptState.LEASED or shop.scratch_path(attempt.attempt_id).exists()
    }
    return frozenset(repository_selectors.repository_get(conn, each).git_root for each in began)
