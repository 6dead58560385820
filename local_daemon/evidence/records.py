"""The signed manifest of an attempt as it is recorded.

Tests: tests/unit/daemon/evidence/.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Which artifact is the manifest, its digest, and the signature over its bytes."""

    attempt_id: ids.AttemptId
    artifact_id: ids.ArtifactId
    digest: str
    signature: str
    public_key: str
    created_at: datetime
