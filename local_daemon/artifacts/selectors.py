"""Reads of artifacts' rows, and their view. The bytes are `store`'s.

Called by operation handlers, the result and `ropeway verify`. Tests: tests/unit/daemon/artifacts/test_services.py.
"""

from collections.abc import Iterator

from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.protocol import errors, ids, specs
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = "SELECT * FROM artifacts "


def artifact_get(conn: Connection, artifact_id: str, *, repository_id: str) -> Artifact:
    """The artifact. Raises NotFound, also for an artifact of another repository."""
    row = conn.execute(_SELECT + "WHERE artifact_id = ?", (artifact_id,)).fetchone()
    if row is None or row["repository_id"] != repository_id:
        raise errors.NotFound("No such artifact in this repository.", artifact_id=artifact_id)
    return _read(row)


def artifact_of_kind(conn: Connection, attempt_id: str, kind: ArtifactKind) -> Artifact | None:
    """The attempt's artifact of this kind; None if there is none."""
    where = "WHERE attempt_id = ? AND kind = ? ORDER BY position LIMIT 1"
    row = conn.execute(_SELECT + where, (attempt_id, kind)).fetchone()
    return None if row is None else _read(row)


def artifacts_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Artifact, ...], str | None]:
    """A page of the step's evidence, all attempts, oldest first, and the cursor of the next. Raises InvalidRequest for
    a cursor not ours."""
    where = "WHERE step_id = ? AND position > ? ORDER BY position LIMIT ?"
    rows = conn.execute(_SELECT + where, (step_id, pages.after_position(cursor), limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def artifacts_of_attempt(conn: Connection, attempt_id: str) -> tuple[Artifact, ...]:
    """Evidence of the attempt, oldest first."""
    return tuple(_read(row) for row in conn.execute(_SELECT + "WHERE attempt_id = ? ORDER BY position", (attempt_id,)))


def artifacts_all(conn: Connection) -> Iterator[Artifact]:
    """Every artifact on record, for checking them all."""
    return (_read(row) for row in conn.execute(_SELECT + "ORDER BY position"))


def artifact_view(artifact: Artifact) -> specs.ArtifactView:
    """The artifact as everybody sees it."""
    return specs.ArtifactView(
        artifact_id=artifact.artifact_id,
        step_id=artifact.step_id,
        attempt_id=artifact.attempt_id,
        kind=artifact.kind,
        name=artifact.name,
        media_type=artifact.media_type,
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        created_at=artifact.created_at,
        expired_at=artifact.expired_at,
    )


def _read(row: Row) -> Artifact:
    return Artifact(
        position=row["position"],
        artifact_id=ids.ArtifactId(row["artifact_id"]),
        step_id=row["step_id"],
        attempt_id=row["attempt_id"],
        run_id=row["run_id"],
        repository_id=row["repository_id"],
        kind=ArtifactKind(row["kind"]),
        name=row["name"],
        media_type=row["media_type"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        created_at=instants.instant_read(row["created_at"]),
        expired_at=instants.optional_read(row["expired_at"]),
    )
