"""The manifest of an attempt: one canonical JSON text that names every piece of its evidence by digest.

Pure. Whoever trusts the daemon's key and has the manifest can check every artifact alone, offline. It is built last,
stored as an artifact, and signed. Called by the scheduler. Tests: tests/unit/daemon/evidence/test_verification.py.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from local_daemon.artifacts.records import ArtifactKind
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import ids, states, wire
from local_daemon.storage import event_log

MANIFEST_VERSION = "v1"
MEDIA_TYPE = "application/vnd.ropeway.evidence+json"


class Piece(Protocol):
    """An artifact, on record or about to be."""

    @property
    def artifact_id(self) -> ids.ArtifactId:
        """Its id."""
        ...

    @property
    def kind(self) -> ArtifactKind:
        """What it is."""
        ...

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        ...

    @property
    def sha256(self) -> str:
        """Its digest."""
        ...


class Check(Protocol):
    """A validation, on record or about to be."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def command(self) -> str:
        """What was run."""
        ...

    @property
    def verdict(self) -> states.ValidationVerdict:
        """What it came to."""
        ...

    @property
    def exit_code(self) -> int | None:
        """How it exited, if it did."""
        ...

    @property
    def duration_ms(self) -> int:
        """How long it took."""
        ...


def manifest_build(
    *,
    attempt: Attempt,
    task_digest: str,
    artifacts: Sequence[Piece],
    validations: Sequence[Check],
    versions: Mapping[str, str],
    log: event_log.LogHead,
) -> bytes:
    """The manifest's bytes: the same evidence gives the same bytes. `versions` are of the tools at work, by name; `log`
    is where the repository's event log stood, which the signature vouches for up to there."""
    return wire.canonical_json(
        {
            "version": MANIFEST_VERSION,
            "repository_id": attempt.repository_id,
            "run_id": attempt.run_id,
            "step_id": attempt.step_id,
            "attempt_id": attempt.attempt_id,
            "attempt_number": attempt.number,
            "task_digest": task_digest,
            "executor": attempt.executor,
            "executor_version": attempt.executor_version,
            "thread_id": attempt.thread_id,
            "usage": attempt.usage.model_dump(mode="json"),
            "exit_code": attempt.exit_code,
            "signal": attempt.signal,
            "base_commit": attempt.base_commit,
            "head_commit": attempt.head_commit,
            "ref": attempt.ref,
            "patch_sha256": attempt.patch_sha256,
            "changes_total": attempt.changes_total,
            "artifacts": [_artifact(artifact) for artifact in artifacts],
            "validations": [_validation(validation) for validation in validations],
            "versions": dict(versions),
            "log": {"log_id": log.log_id, "seq": log.head_seq, "hash": log.head_hash},
        }
    )


def _artifact(artifact: Piece) -> dict[str, object]:
    return {
        "artifact_id": artifact.artifact_id,
        "kind": artifact.kind,
        "name": artifact.name,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
    }


def _validation(validation: Check) -> dict[str, object]:
    return {
        "name": validation.name,
        "command": validation.command,
        "verdict": validation.verdict,
        "exit_code": validation.exit_code,
        "duration_ms": validation.duration_ms,
    }
