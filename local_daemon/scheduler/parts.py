"""A piece of evidence whose bytes are stored and which is not on record yet.

It has its id already, so that the manifest that names it can be built and stored before the transaction begins.
Called by `conclusion` and `checks`. Tests: tests/integration/daemon/test_execution.py.
"""

from dataclasses import dataclass, field
from pathlib import Path

from local_daemon.artifacts import services as artifacts
from local_daemon.artifacts.records import Artifact, ArtifactKind, Blob
from local_daemon.config import plain_files
from local_daemon.processes import capture
from local_daemon.protocol import ids
from local_daemon.scheduler import workshop
from local_daemon.storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stored piece of evidence."""

    kind: ArtifactKind
    name: str
    media_type: str
    blob: Blob
    artifact_id: ids.ArtifactId = field(default_factory=artifacts.artifact_id_new)

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return self.blob.size_bytes

    @property
    def sha256(self) -> str:
        """Its digest."""
        return self.blob.sha256


def part_of_output(
    shop: workshop.Workshop, lease: workshop.Lease, output: Path, *, kind: ArtifactKind, name: str
) -> Part | None:
    """Clean a captured output of paths and secrets and store it, at most so much of it; None where nothing was printed.
    Raises OSError, as `plain_open` does, where what printed it has taken it away, locked it up for good or put
    something else in its place, which may never end."""
    with plain_files.plain_open(output) as printed:
        if not printed.read(1):
            return None
    cleaned = output.with_name(f"{output.name}.clean")
    capture.Capture(output, cleaned, known=lambda: workshop.log_known(shop, lease)).finish()
    return part_of_clean(shop, cleaned, kind=kind, name=name)


def part_of_clean(shop: workshop.Workshop, cleaned: Path, *, kind: ArtifactKind, name: str) -> Part:
    """Store an output that was cleaned while it came."""
    return Part(kind=kind, name=name, media_type="text/plain", blob=shop.blobs.blob_put_file(cleaned))


def part_record(tx: Transaction, lease: workshop.Lease, part: Part) -> Artifact:
    """Put it on record."""
    return artifacts.artifact_record(
        tx,
        step_id=lease.step.step_id,
        attempt_id=lease.attempt.attempt_id,
        run_id=lease.step.run_id,
        repository_id=lease.step.repository_id,
        kind=part.kind,
        name=part.name,
        media_type=part.media_type,
        blob=part.blob,
        artifact_id=part.artifact_id,
    )
