"""Checks a whole home directory without a daemon: every event log, every signature, every byte of evidence.

Reads only. What it cannot vouch for it names, one finding a line; it repairs nothing. Bytes that the
operator's retention let go are counted, and no finding: what is on record of them still is. Called by `ropeway verify`.
Tests: tests/unit/daemon/evidence/test_verification.py.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from local_daemon.artifacts import selectors as artifacts
from local_daemon.artifacts.records import Artifact
from local_daemon.artifacts.store import BlobStore
from local_daemon.evidence import selectors, signing
from local_daemon.evidence.records import Evidence
from local_daemon.protocol import errors, ids
from local_daemon.repositories import selectors as repositories
from local_daemon.storage import database, event_log


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeReport:
    """What checking a home directory found. `findings` are sentences; none means that everything holds."""

    logs: tuple[event_log.LogReport, ...]
    artifacts_checked: int
    manifests_checked: int
    artifacts_expired: int
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is there and unchanged."""
        return not self.findings


def home_verify(
    *, record: Path, blobs: BlobStore, public_key: str, former_public_keys: tuple[str, ...] = ()
) -> HomeReport:
    """Check the record at this path, its artifacts and its manifests; a manifest counts only if this daemon's
    `public_key` (base64) signed it, or one that it had before."""
    with closing(database.reader_open(record)) as conn:
        logs = tuple(
            event_log.log_verify(conn, repository.repository_id) for repository in repositories.repositories_list(conn)
        )
        kept = {artifact.artifact_id: artifact for artifact in artifacts.artifacts_all(conn)}
        manifests = tuple(selectors.evidence_all(conn))
    findings = [f"log of {log.repository_id}: {log.problem}" for log in logs if log.problem is not None]
    findings += [
        f"artifact {artifact.artifact_id}: its bytes are missing or changed"
        for artifact in kept.values()
        if artifact.expired_at is None and not blobs.blob_is_intact(artifact.sha256)
    ]
    expired = sum(artifact.expired_at is not None for artifact in kept.values())
    for manifest in manifests:
        problem = _manifest_problem(manifest, kept=kept, blobs=blobs, public_keys=(public_key, *former_public_keys))
        if problem is not None:
            findings.append(f"manifest of {manifest.attempt_id}: {problem}")
    return HomeReport(
        logs=logs,
        artifacts_checked=len(kept) - expired,
        manifests_checked=len(manifests),
        artifacts_expired=expired,
        findings=tuple(findings),
    )


def _manifest_problem(
    evidence: Evidence, *, kept: Mapping[ids.ArtifactId, Artifact], blobs: BlobStore, public_keys: tuple[str, ...]
) -> str | None:
    if evidence.public_key not in public_keys:
        return "signed with another key than this daemon's"
    try:
        content = blobs.blob_read(evidence.digest)
    except errors.RopewayError:
        return "its bytes are missing or changed"
    if not signing.evidence_verify(content, signature=evidence.signature, public_key=evidence.public_key):
        return "its signature is wrong"
    for entry in json.loads(content)["artifacts"]:
        artifact = kept.get(entry["artifact_id"])
        if artifact is None or artifact.sha256 != entry["sha256"]:
            return f"artifact {entry['artifact_id']} is not what was signed"
    return None
