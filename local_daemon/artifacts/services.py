"""Writes of artifacts: one row for each piece of evidence, whose bytes are on disk already.

Called by the scheduler. Tests: tests/unit/daemon/artifacts/test_services.py.
"""

from dataclasses import replace

from local_daemon.artifacts import selectors
from local_daemon.artifacts.records import Artifact, ArtifactKind, Blob
from local_daemon.protocol import events, ids
from local_daemon.storage import event_log
from local_daemon.storage.transaction import Transaction

_INSERT = """
    INSERT INTO artifacts (
        artifact_id, step_id, attempt_id, run_id, repository_id, kind, name, media_type, size_bytes, sha256, created_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING position
"""


def artifact_id_new() -> ids.ArtifactId:
    """An id for an artifact."""
    return ids.ArtifactId(ids.new_id(ids.IdPrefix.ARTIFACT))


def artifact_record(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    attempt_id: ids.AttemptId,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    kind: ArtifactKind,
    name: str,
    media_type: str,
    blob: Blob,
    artifact_id: ids.ArtifactId | None = None,
) -> Artifact:
    """Record that these bytes are evidence of the attempt. `artifact_id` is a new one that something names already."""
    artifact = Artifact(
        artifact_id=artifact_id or artifact_id_new(),
        step_id=step_id,
        attempt_id=attempt_id,
        run_id=run_id,
        repository_id=repository_id,
        kind=kind,
        name=name,
        media_type=media_type,
        size_bytes=blob.size_bytes,
        sha256=blob.sha256,
        created_at=tx.now,
    )
    row = tx.execute(
        _INSERT,
        (
            artifact.artifact_id, step_id, attempt_id, run_id, repository_id, kind, name, media_type, blob.size_bytes,
            blob.sha256, tx.now_text,
        ),
    ).fetchone()  # fmt: skip
    event_log.event_append(
        tx,
        repository_id=repository_id,
        event_type=events.EventType.ARTIFACT_RECORDED,
        run_id=run_id,
        step_id=step_id,
        data={"artifact": selectors.artifact_view(artifact).model_dump(mode="json")},
    )
    return replace(artifact, position=row["position"])
