"""The SQL of repositories. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/repositories/.
"""

from pathlib import Path

from local_daemon.protocol import ids
from local_daemon.repositories.records import NOWHERE, Repository
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction

_SELECT = (
    "SELECT position, repository_id, label, toplevel, git_root, binding, default_branch, created_at FROM repositories "
)
_ITSELF = "."
"""To what a repository of ours, that serves a folder without git, is bound."""


def repository_insert(
    tx: Transaction,
    *,
    repository_id: ids.RepositoryId,
    label: str,
    toplevel: Path,
    git_root: Path | None,
    binding: str | None,
    default_branch: str | None,
) -> None:
    """Add the row."""
    tx.execute(
        "INSERT INTO repositories (repository_id, label, toplevel, git_root, binding, default_branch, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            repository_id, label, str(toplevel), None if git_root is None else str(git_root), binding, default_branch,
            tx.now_text,
        ),
    )  # fmt: skip


def git_root_update(tx: Transaction, *, repository_id: ids.RepositoryId, git_root: Path) -> None:
    """Say where the folder's own repository lies now."""
    tx.execute("UPDATE repositories SET git_root = ? WHERE repository_id = ?", (str(git_root), repository_id))


def toplevel_update(tx: Transaction, *, repository_id: ids.RepositoryId, toplevel: Path, binding: str | None) -> None:
    """Say where the repository begins now, and to what it is bound there."""
    tx.execute("UPDATE repositories SET toplevel = ? WHERE repository_id = ?", (str(toplevel), repository_id))
    binding_update(tx, repository_id=repository_id, binding=binding)


def binding_update(tx: Transaction, *, repository_id: ids.RepositoryId, binding: str | None) -> None:
    """Say to what the repository is bound."""
    tx.execute("UPDATE repositories SET binding = ? WHERE repository_id = ?", (binding, repository_id))


def repository_by_id(conn: Connection, repository_id: str) -> Repository | None:
    """The repository with this id."""
    return _one(conn.execute(_SELECT + "WHERE repository_id = ?", (repository_id,)).fetchone())


def repository_by_toplevel(conn: Connection, toplevel: Path) -> Repository | None:
    """The repository that begins at this folder."""
    return _one(conn.execute(_SELECT + "WHERE toplevel = ?", (str(toplevel),)).fetchone())


def repositories_page(conn: Connection, *, after: int, limit: int) -> tuple[Repository, ...]:
    """Up to `limit` repositories after position `after`, in the order they were added, without forgotten ones."""
    where = "WHERE position > ? AND toplevel NOT GLOB ? ORDER BY position LIMIT ?"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (after, f"{NOWHERE}/*", limit)))


def repositories_forgotten(conn: Connection, *, after: int, limit: int) -> tuple[Repository, ...]:
    """Up to `limit` forgotten repositories after position `after`, in the order they were added."""
    # By position, as the plus says: the index of places would have to be sorted.
    where = "WHERE position > ? AND +toplevel GLOB ? ORDER BY position LIMIT ?"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (after, f"{NOWHERE}/*", limit)))


def repositories_all(conn: Connection) -> tuple[Repository, ...]:
    """Every repository, forgotten ones too, in the order they were added."""
    return tuple(_read(row) for row in conn.execute(_SELECT + "ORDER BY position"))


def _one(row: Row | None) -> Repository | None:
    return None if row is None else _read(row)


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
