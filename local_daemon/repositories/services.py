"""Registers repositories of this machine, each with its own event log; says where one lies, and forgets where.

Whether a folder is a git repository was asked before. Called by operation handlers.
Tests: tests/unit/daemon/repositories/test_services.py.
"""

from collections.abc import Mapping
from pathlib import Path

from local_daemon.protocol import errors, ids
from local_daemon.repositories import records, selectors, store
from local_daemon.repositories.records import Repository
from local_daemon.storage import event_log
from local_daemon.storage.transaction import Transaction


def repository_register(
    tx: Transaction,
    *,
    toplevel: Path,
    label: str,
    default_branch: str | None,
    git_root: Path | None = None,
    binding: str | None = None,
) -> tuple[Repository, bool]:
    """The repository that begins at `toplevel`, and whether this made it known; a known one keeps its label and its
    binding. For a folder without git, `git_root` is the repository that serves it."""
    known = selectors.repository_at(tx.connection, toplevel)
    if known is not None:
        return known, False
    repository_id = ids.RepositoryId(ids.new_id(ids.IdPrefix.REPOSITORY))
    store.repository_insert(
        tx,
        repository_id=repository_id,
        label=label,
        toplevel=toplevel,
        git_root=git_root,
        binding=binding,
        default_branch=default_branch,
    )
    event_log.log_create(tx, repository_id=repository_id)
    tx.touch(repository_id)
    return selectors.repository_get(tx.connection, repository_id), True


def repository_relocate(
    tx: Transaction, *, repository_id: ids.RepositoryId, toplevel: Path, binding: str | None = None
) -> Repository:
    """It begins at `toplevel` now, and is bound to what is there. Raises NotFound, and InvalidTransition where another
    one is known there."""
    there = selectors.repository_at(tx.connection, toplevel)
    if there is not None and there.repository_id != repository_id:
        raise errors.InvalidTransition(
            "Another repository is known at that place; forget that one first.", repository_id=there.repository_id
        )
    return _toplevel_set(tx, repository_id, toplevel, binding)


def repository_forget(tx: Transaction, *, repository_id: ids.RepositoryId) -> Repository:
    """It is only on record any more. Raises NotFound."""
    return _toplevel_set(tx, repository_id, records.NOWHERE / repository_id, None)


def repositories_bind(tx: Transaction, found: Mapping[ids.RepositoryId, str]) -> None:
    """Bind those that are not: they were made known by an earlier version."""
    for repository_id, binding in found.items():
        store.binding_update(tx, repository_id=repository_id, binding=binding)


def _toplevel_set(tx: Transaction, repository_id: ids.RepositoryId, toplevel: Path, binding: str | None) -> Repository:
    store.toplevel_update(tx, repository_id=repository_id, toplevel=toplevel, binding=binding)
    tx.touch(repository_id)
    return selectors.repository_get(tx.connection, repository_id)


def folders_settle(tx: Transaction, *, folders: Path) -> None:
    """Find the folders' own repositories below `folders`: the daemon's home may have been moved."""
    for repository in selectors.repositories_list(tx.connection):
        if repository.is_folder and repository.git_root.parent != folders:
            place = folders / repository.git_root.name
            store.git_root_update(tx, repository_id=repository.repository_id, git_root=place)
