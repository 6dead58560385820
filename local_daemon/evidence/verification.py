"""Checks a whole home directory without a daemon: every event log, that the record is where its log says, every
signature, every byte of evidence.

Reads only. What it cannot vouch for it names, one finding a line; it repairs nothing. Bytes that the
operator's retention let go are counted, and no finding: what is on record of them still is. Called by `ropeway verify`.
Tests: tests/unit/daemon/evidence/test_verification.py.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_daemon.artifacts import selectors as artifacts
from local_daemon.artifacts.records import Artifact
from local_daemon.artifacts.store import BlobStore
from local_daemon.evidence import agreement, selectors, signing
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
        with _one_moment(conn):
            logs = tuple(
                event_log.log_verify(conn, repository.repository_id)
                for repository in repositories.repositories_list(conn)
            )
            kept = {artifact.artifact_id: artifact for artifact in artifacts.artifacts_all(conn)}
            manifests = tuple(selectors.evidence_all(conn))
            findings = [f"log of {log.repository_id}: {log.problem}" for log in logs if log.problem is not None]
            if not findings:
                findings += agreement.disagreements(conn)
        spoilt, expired = _artifacts_checked(conn, kept.values(), blobs=blobs)
        findings += spoilt
        for each in manifests:
            problem = _manifest_problem(
                conn, each, kept=kept, blobs=blobs, public_keys=(public_key, *former_public_keys)
            )
            if problem is not None:
                findings.append(f"manifest of {each.attempt_id}: {problem}")
    return HomeReport(
        logs=logs,
        artifacts_checked=len(kept) - expired,
        manifests_checked=len(manifests),
        artifacts_expired=expired,
        findings=tuple(findings),
    )


def manifest_is_on_record(record: Path, *, attempt_id: str, digest: str) -> bool:
    """Whether the record at this path holds this very manifest: one that was signed here and is not there was lost, or
    the record is an older copy of itself."""
    with closing(database.reader_open(record)) as conn:
        found = selectors.evidence_find(conn, attempt_id)
    return found is not None and found.digest == digest


@contextmanager
def _one_moment(conn: database.Connection) -> Iterator[None]:
    """All that is read inside is as of one moment, though a daemon be at work."""
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.execute("ROLLBACK")


def _artifacts_checked(
    conn: database.Connection, kept: Iterable[Artifact], *, blobs: BlobStore
) -> tuple[list[str], int]:
    """What is wrong with the bytes of these artifacts, and how many of them have expired."""
    spoilt, expired = [], 0
    for artifact in kept:
        if artifact.expired_at is None and blobs.blob_is_intact(artifact.sha256):
            continue
        # A daemon at work says so before it lets bytes go: they may have gone since the record was read.
        now = artifacts.artifact_get(conn, artifact.artifact_id, repository_id=artifact.repository_id)
        if now.expired_at is None:
            spoilt.append(f"artifact {artifact.artifact_id}: its bytes are missing or changed")
        else:
            expired += 1
    return spoilt, expired


def _manifest_problem(
    conn: database.Connection,
    evidence: Evidence,
    *,
    kept: Mapping[ids.ArtifactId, Artifact],
    blobs: BlobStore,
    public_keys: tuple[str, ...],
) -> str | None:
    if evidence.public_key not in public_keys:
        return "signed with another key than this daemon's"
    try:
        content = blobs.blob_read(evidence.digest)
    except errors.RopewayError:
        return "its bytes are missing or changed"
    if not signing.evidence_verify(content, signature=evidence.signature, public_key=evidence.public_key):
        return "its signature is wrong"
    document = json.loads(content)
    for entry in document["artifacts"]:
        artifact = kept.get(entry["artifact_id"])
        if artifact is None or artifact.sha256 != entry["sha256"]:
            return f"artifact {entry['artifact_id']} is not what was signed"
    log = document.get("log")  # Manifests of before it was signed have none.
    if log is not None and not agreement.log_passed(conn, log["log_id"], seq=log["seq"], digest=log["hash"]):
        return f"the log that it was signed with, up to {log['seq']}, is another one than is here"
    return None
