"""Evidence as it is recorded: what an artifact is called, and where its bytes are by their digest.

Tests: tests/unit/daemon/artifacts/.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from local_daemon.protocol import ids


class ArtifactKind(StrEnum):
    """What a piece of evidence is."""

    PATCH = "patch"  # everything the attempt changed, as a git patch
    STDOUT = "stdout"  # the executor's output, redacted while it was captured
    STDERR = "stderr"  # its error output, likewise
    VALIDATION_STDOUT = "validation_stdout"  # a check's output
    VALIDATION_STDERR = "validation_stderr"  # its error output
    MANIFEST = "manifest"  # the signed list of all of this
    FILE = "file"  # something else the attempt left behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes that are kept, by their digest."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One piece of immutable evidence."""

    artifact_id: ids.ArtifactId
    step_id: ids.StepId
    attempt_id: ids.AttemptId
    run_id: ids.RunId
    repository_id: ids.RepositoryId
    kind: ArtifactKind
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    expired_at: datetime | None = None  # when its bytes were let go
    position: int = 0  # the lists' order; the record's to give
