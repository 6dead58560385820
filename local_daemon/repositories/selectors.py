"""Reads of repositories, and their view. The folder stays out of every view.

Called by operation handlers, the scheduler and `ropeway verify`.
Tests: tests/unit/daemon/repositories/test_services.py.
"""

from pathlib import Path

from local_daemon.protocol import errors, ids, messages
from local_daemon.repositories.records import NOWHERE, Repository
from local_daemon.storage import event_log, instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = (
    "SELECT position, repository_id, label, toplevel, git_root, binding, default_branch, created_at FROM repositories "
)
_ITSELF = "."
"""To what a repository of ours, that serves a folder without git, is bound."""


def repository_get(conn: Connection, repository_id: str) -> Repository:
    """The repository. Raises NotFound."""
    row = conn.execute(_SELECT + "WHERE repository_id = ?", (repository_id,)).fetchone()
    if row is None:
        raise errors.NotFound("No such repository here.", repository_id=repository_id)
    return _read(row)


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
    row = conn.execute(_SELECT + "WHERE toplevel = ?", (str(toplevel),)).fetchone()
    return None if row is None else _read(row)


def repositories_page(conn: Connection, *, limit: int, cursor: str | None) -> tuple[tuple[Repository, ...], str | None]:
    """A page of known repositories, in the order they were added, and the cursor of the next. Raises InvalidRequest for
    a cursor not ours."""
    where = "WHERE position > ? AND toplevel NOT GLOB ? ORDER BY position LIMIT ?"
    rows = conn.execute(_SELECT + where, (pages.after_position(cursor), f"{NOWHERE}/*", limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def repositories_forgotten_page(
    conn: Connection, *, limit: int, cursor: str | None
) -> tuple[tuple[Repository, ...], str | None]:
    """A page of forgotten repositories, as `repositories_page`."""
    # By position, as the plus says: the index of places would have to be sorted.
    where = "WHERE position > ? AND +toplevel GLOB ? ORDER BY position LIMIT ?"
    rows = conn.execute(_SELECT + where, (pages.after_position(cursor), f"{NOWHERE}/*", limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def repositories_list(conn: Connection) -> tuple[Repository, ...]:
    """Every repository on record, forgotten ones too, in the order they were added."""
    return tuple(_read(row) for row in conn.execute(_SELECT + "ORDER BY position"))


def repositories_known(conn: Connection) -> tuple[Repository, ...]:
    """Every repository this daemon knows a place of, in the order they were added."""
    return tuple(repository for repository in repositories_list(conn) if not repository.is_forgotten)


def folder_around(conn: Connection, place: Path) -> Repository | None:
    """The nearest folder without git that holds this place; None if there is none."""
    found = (repository_at(conn, each) for each in (place, *place.parents))
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


def _read(row: Row) -> Repository:
    return Repository(
        position=row["position"],
        repository_id=ids.RepositoryId(row["repository_id"]),
        label=row["label"],
        toplevel=Path(row["toplevel"]),
        git_root=Path(row["git_root"] or row["toplevel"]),
        binding=row["binding"] if row["git_root"] is None else _ITSELF,
        default_branch=row["default_branch"],
        created_at=instants.instant_read(row["created_at"]),
    )
