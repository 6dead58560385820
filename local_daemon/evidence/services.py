"""Writes of evidence: the signature of an attempt's manifest. The event is the step's, which carries the digest.

Called by the scheduler. Tests: tests/unit/daemon/evidence/test_verification.py.
"""

from local_daemon.artifacts.records import Artifact
from local_daemon.evidence.records import Evidence
from local_daemon.protocol import ids
from local_daemon.storage.transaction import Transaction


def evidence_record(
    tx: Transaction, *, attempt_id: ids.AttemptId, manifest: Artifact, signature: str, public_key: str
) -> Evidence:
    """Record the signature over the manifest, an artifact that was just recorded."""
    evidence = Evidence(
        attempt_id=attempt_id,
        artifact_id=manifest.artifact_id,
        digest=manifest.sha256,
        signature=signature,
        public_key=public_key,
        created_at=tx.now,
    )
    tx.execute(
        "INSERT INTO evidence (attempt_id, artifact_id, digest, signature, public_key, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (attempt_id, evidence.artifact_id, evidence.digest, signature, public_key, tx.now_text),
    )
    return evidence
