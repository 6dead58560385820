"""Whether the references to results (`refs/ropeway/…`) are where the record says, in every repository that is there.

An executor works as the operator does, and can take them away. Retention that lets one go says so on record first, so
what it let go is never missed. Reads only, and starts no git. Deliberately says nothing of repositories that lie
elsewhere by now (`ropeway doctor`). Called by `ropeway verify`, and by `conclusion`, which has those written again that
a check took away. Tests: tests/integration/daemon/test_references.py.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from local_daemon.repositories import selectors as repositories
from local_daemon.repositories.records import Repository
from local_daemon.storage import database
from local_daemon.storage.database import Connection
from local_daemon.worktrees import bindings, git, references


def references_kept(conn: Connection, repository_id: str) -> dict[str, str]:
    """The references to the repository's results, and what each is to name."""
    return {row["ref"]: row["head_commit"] for row in conn.execute(_KEPT, (repository_id,))}


def references_missed(record: Path) -> tuple[str, ...]:
    """What the record at this path says is kept, and is not: a sentence for each."""
    with closing(database.reader_open(record)) as conn:
        return tuple(
            f"the changes of {attempt_id}: {ref} is gone or names another commit"
            for repository in repositories.repositories_known(conn)
            for attempt_id, ref in _missed(conn, repository)
        )


def _missed(conn: Connection, repository: Repository) -> Iterator[tuple[str, str]]:
    kept = {row["ref"]: row for row in conn.execute(_KEPT, (repository.repository_id,))}
    try:
        bindings.bind(repository.git_root, repository.binding)
        common_dir = bindings.common_dir_find(repository.git_root)
    except git.GitFailed:
        return
    for ref in references.refs_elsewhere(common_dir, {ref: row["head_commit"] for ref, row in kept.items()}):
        attempt_id = kept[ref]["attempt_id"]
        # A daemon at work says so before it lets one go: it may have gone since the record was read.
        if conn.execute(_STILL_KEPT, (attempt_id, ref)).fetchone() is not None:
            yield attempt_id, ref


_KEPT = """
    SELECT attempt_id, ref, head_commit FROM attempts
    WHERE repository_id = ? AND ref IS NOT NULL AND head_commit IS NOT NULL ORDER BY position
"""
_STILL_KEPT = "SELECT 1 FROM attempts WHERE attempt_id = ? AND ref = ?"
