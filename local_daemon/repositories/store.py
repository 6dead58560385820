"""The SQL that writes repositories. Called by `services` only.

Tests: tests/unit/daemon/repositories/.
"""

from pathlib import Path

from local_daemon.protocol import ids
from local_daemon.storage.transaction import Transaction


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
