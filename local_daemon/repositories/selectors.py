"""Reads of repositories, and their view. The folder stays out of every view.

Called by operation handlers, the scheduler and `ropeway verify`.
Tests: tests/unit/daemon/repositories/test_services.py.
"""

from pathlib import Path

from local_daemon.protocol import errors, messages
from local_daemon.repositories import store
from local_daemon.repositories.records import Repository
from local_daemon.storage import event_log, pages
from local_daemon.storage.database import Connection


def repository_get(conn: Connection, repository_id: str) -> Repository:
    """The repository. Raises NotFound."""
    repository = store.repository_by_id(conn, repository_id)
    if repository is None:
        raise errors.NotFound("No such repository here.", repository_id=repository_id)
    return repository


def repository_working(conn: Connection, repository_id: str) -> Repository:
    """The repository, for whoever wants work done in it. Raises NotFound, and InvalidTransition where it was
    forgotten."""
    repository = repository_get(conn, repository_id)
    if repository.is_forgotten:
        raise errors.InvalidTransition(
            "This repository was forgotten on its machine, and takes no new work until it is relocated there."
        )
    return repository


def repository_at(conn: Connection, toplevel: Path) -> Repository | None:
    """The repository that begins at this folder; None if it is not known."""
    return store.repository_by_toplevel(conn, toplevel)


def repositories_page(conn: Connection, *, limit: int, cursor: str | None) -> tuple[tuple[Repository, ...], str | None]:
    """A page of known repositories, in the order they were added, and the cursor of the next. Raises InvalidRequest for
    a cursor not ours."""
    found = store.repositories_page(conn, after=pages.after_position(cursor), limit=limit + 1)
    return pages.page_cut(found, limit=limit)


def repositories_forgotten_page(
    conn: Connection, *, limit: int, cursor: str | None
) -> tuple[tuple[Repository, ...], str | None]:
    """A page of forgotten repositories, as `repositories_page`."""
    found = store.repositories_forgotten(conn, after=pages.after_position(cursor), limit=limit + 1)
    return pages.page_cut(found, limit=limit)


def repositories_list(conn: Connection) -> tuple[Repository, ...]:
    """Every repository on record, forgotten ones too, in the order they were added."""
    return store.repositories_all(conn)


def repositories_known(conn: Connection) -> tuple[Repository, ...]:
    """Every repository this daemon knows a place of, in the order they were added."""
    return tuple(repository for repository in store.repositories_all(conn) if not repository.is_forgotten)


def folder_around(conn: Connection, place: Path) -> Repository | None:
    """The nearest folder without git that holds this place; None if there is none."""
    found = (store.repository_by_toplevel(conn, each) for each in (place, *place.parents))
    return next((each for each in found if each is not None and each.is_folder), None)


def repository_view(
    repository: Repository, *, head: event_log.LogHead, head_commit: str | None = None
) -> messages.RepositoryView:
    """The repository without its folder. `head_commit` is None where git was not asked."""
    return messages.RepositoryView(
        repository_id=repository.repository_id,
        label=repository.label,
        default_branch=repository.default_branch,
        is_folder=repository.is_folder,
        head_commit=head_commit,
        log_id=head.log_id,
        head_seq=head.head_seq,
        head_hash=head.head_hash,
        created_at=repository.created_at,
    )
