"""Evidence on record is immutable and belongs to its repository."""

import sqlite3

import pytest

from local_daemon.artifacts import selectors
from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.protocol import errors
from tests.record import Record


@pytest.fixture
def artifact(record: Record) -> Artifact:
    """One patch."""
    attempt = record.lease(record.step(record.run(record.repository())))
    return record.artifact(attempt, ArtifactKind.PATCH)


def test_an_artifact_is_found_by_its_id_step_attempt_and_kind(record: Record, artifact: Artifact) -> None:
    conn = record.connection
    assert selectors.artifact_get(conn, artifact.artifact_id, repository_id=artifact.repository_id) == artifact
    assert selectors.artifacts_page(conn, artifact.step_id, limit=1, cursor=None) == ((artifact,), None)
    assert selectors.artifacts_of_attempt(conn, artifact.attempt_id) == (artifact,)
    assert selectors.artifact_of_kind(conn, artifact.attempt_id, ArtifactKind.PATCH) == artifact
    assert selectors.artifact_of_kind(conn, artifact.attempt_id, ArtifactKind.STDOUT) is None


def test_an_artifact_of_another_repository_is_not_found(record: Record, artifact: Artifact) -> None:
    other = record.repository("/other")
    with pytest.raises(errors.NotFound):
        selectors.artifact_get(record.connection, artifact.artifact_id, repository_id=other.repository_id)


def test_an_artifact_is_never_changed(record: Record, artifact: Artifact) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="immutable"):
        record.connection.execute("UPDATE artifacts SET sha256 = 'b'")
