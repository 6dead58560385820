"""A home directory vouches for itself, and every way of tampering with it is named."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.artifacts import selectors as artifacts_read
from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.artifacts.store import BlobStore
from local_daemon.attempts.records import Attempt
from local_daemon.evidence import agreement, manifest, selectors, services, signing, verification
from local_daemon.protocol import events, states, wire
from local_daemon.steps import results
from local_daemon.steps.records import Step
from local_daemon.storage import event_log
from local_daemon.validations import services as validations
from tests.record import Record

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()


@dataclass
class Home:
    """A home directory with one attempt's evidence."""

    record: Record
    blobs: BlobStore
    artifacts: Path
    step: Step
    attempt: Attempt
    patch: Artifact
    manifest: Artifact

    def verify(self, public_key: str = PUBLIC) -> verification.HomeReport:
        return verification.home_verify(record=self.record.path, blobs=self.blobs, public_key=public_key)

    def blob_path(self, sha256: str) -> Path:
        return self.artifacts / sha256[:2] / sha256[2:]


def evidence_of(record: Record, blobs: BlobStore, step: Step, attempt: Attempt) -> tuple[Artifact, Artifact]:
    """Record a patch, a check and a signed manifest of the attempt; the patch and the manifest."""

    patch = record.artifact(attempt, ArtifactKind.PATCH, blob=blobs.blob_put_bytes(b"+hello\n"))
    check = record.write(
        lambda tx: validations.validation_record(
            tx,
            step_id=step.step_id,
            attempt_id=attempt.attempt_id,
            run_id=step.run_id,
            repository_id=step.repository_id,
            name="lint",
            command="true",
            verdict=states.ValidationVerdict.PASSED,
            exit_code=0,
            duration_ms=5,
            stdout_artifact_id=None,
            stderr_artifact_id=None,
        )
    )
    content = manifest.manifest_build(
        attempt=replace(
            attempt,
            base_commit="1" * 40,
            head_commit="2" * 40,
            ref="refs/ropeway/a/b/c",
            patch_sha256=patch.sha256,
            changes_total=1,
        ),
        task_digest=step.task_digest,
        artifacts=[patch],
        validations=[check],
        versions={"git": "2.39.5"},
        log=event_log.log_head(record.connection, step.repository_id),
    )
    signed = record.artifact(attempt, ArtifactKind.MANIFEST, blob=blobs.blob_put_bytes(content))
    record.write(
        lambda tx: services.evidence_record(
            tx,
            attempt_id=attempt.attempt_id,
            manifest=signed,
            signature=signing.evidence_sign(content, sign=KEY.sign),
            public_key=PUBLIC,
        )
    )
    return patch, signed


@pytest.fixture
def home(record: Record, tmp_path: Path) -> Home:
    """An attempt with a patch, a check and a signed manifest."""
    blobs = BlobStore(tmp_path / "artifacts")
    step = record.step(record.run(record.repository()))
    attempt = record.work(step)
    patch, signed = evidence_of(record, blobs, step, attempt)
    return Home(
        record=record,
        blobs=blobs,
        artifacts=tmp_path / "artifacts",
        step=step,
        attempt=attempt,
        patch=patch,
        manifest=signed,
    )


def test_an_untouched_home_holds(home: Home) -> None:
    report = home.verify()
    assert report.holds
    assert (report.artifacts_checked, report.manifests_checked, len(report.logs)) == (2, 1, 1)


def test_it_is_checked_without_a_daemon_and_without_writing(home: Home) -> None:
    home.record.close()
    before = {path: path.read_bytes() for path in home.artifacts.rglob("*") if path.is_file()}
    assert home.verify().holds
    assert {path: path.read_bytes() for path in home.artifacts.rglob("*") if path.is_file()} == before


def _work_goes_on(home: Home) -> None:
    step = home.record.step(home.record.run(home.record.repository()))
    evidence_of(home.record, home.blobs, step, home.record.work(step))


READS = (
    (event_log, "log_verify"),
    (artifacts_read, "artifacts_all"),
    (selectors, "evidence_all"),
    (agreement, "disagreements"),
)


@pytest.mark.parametrize(("module", "read"), READS)
@pytest.mark.parametrize("is_before", [True, False])
def test_it_holds_beside_a_daemon_that_writes_between_the_reads(
    home: Home, monkeypatch: pytest.MonkeyPatch, module: ModuleType, read: str, is_before: bool
) -> None:
    original = getattr(module, read)

    def disturbed(*given: object) -> object:
        if is_before:
            _work_goes_on(home)
        found = original(*given)
        if not isinstance(found, event_log.LogReport):
            found = list(found)
        if not is_before:
            _work_goes_on(home)
        return found

    monkeypatch.setattr(module, read, disturbed)
    assert home.verify().findings == ()


def test_bytes_that_are_let_go_while_it_looks_are_not_missing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def disturbed(sha256: str) -> bool:
        if sha256 == home.patch.sha256:
            home.record.write(
                lambda tx: tx.execute(
                    "UPDATE artifacts SET expired_at = ? WHERE artifact_id = ?", (tx.now_text, home.patch.artifact_id)
                )
            )
            home.blob_path(sha256).unlink()
        return BlobStore.blob_is_intact(home.blobs, sha256)

    monkeypatch.setattr(home, "blobs", Mock(wraps=home.blobs, blob_is_intact=disturbed))
    report = home.verify()
    assert report.findings == ()
    assert (report.artifacts_checked, report.artifacts_expired) == (1, 1)


def _change_the_patch(home: Home) -> None:
    home.blob_path(home.patch.sha256).write_bytes(b"+other\n")


def _lose_the_patch(home: Home) -> None:
    home.blob_path(home.patch.sha256).unlink()


def _change_the_manifest(home: Home) -> None:
    home.blob_path(home.manifest.sha256).write_bytes(b"{}")


def _change_the_signature(home: Home) -> None:
    other = signing.evidence_sign(b"other", sign=KEY.sign)
    home.record.connection.execute("UPDATE evidence SET signature = ?", (other,))


def _exchange_the_patch(home: Home) -> None:
    other = home.blobs.blob_put_bytes(b"+other\n")
    home.record.connection.execute("DROP TRIGGER artifacts_are_never_changed")
    home.record.connection.execute("UPDATE artifacts SET sha256 = ? WHERE kind = 'patch'", (other.sha256,))


def _shorten_the_log(home: Home) -> None:
    home.record.connection.execute("DROP TRIGGER events_are_never_deleted")
    home.record.connection.execute("DELETE FROM events WHERE seq > 3")


def _write_the_log_anew(home: Home) -> None:
    """Every event of the same repository, another word in the first of them, and all hashes made to fit."""
    connection = home.record.connection
    for trigger in ("events_are_never_changed", "event_logs_never_shrink"):
        connection.execute(f"DROP TRIGGER {trigger}")
    log_id = event_log.log_head(connection, home.step.repository_id).log_id
    previous = events.GENESIS_HASH
    for record in event_log.events_after(connection, home.step.repository_id, 0, 500):
        data = {**record.data, "run": {**record.data["run"], "objective": "Other."}} if record.seq == 1 else record.data
        digest = events.event_hash(
            log_id=log_id,
            seq=record.seq,
            event_type=record.type,
            at=events.format_instant(record),
            run_id=record.run_id,
            step_id=record.step_id,
            call_id=record.call_id,
            data_text=wire.canonical_json(data),
            prev_hash=previous,
        )
        connection.execute(
            "UPDATE events SET data = ?, prev_hash = ?, hash = ? WHERE log_id = ? AND seq = ?",
            (wire.canonical_json(data).decode(), previous, digest, log_id, record.seq),
        )
        previous = digest
    connection.execute("UPDATE event_logs SET head_hash = ? WHERE log_id = ?", (previous, log_id))
    assert event_log.log_verify(connection, home.step.repository_id).holds


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (_write_the_log_anew, "is another one than is here"),
        (_change_the_patch, "its bytes are missing or changed"),
        (_lose_the_patch, "its bytes are missing or changed"),
        (_change_the_manifest, "its bytes are missing or changed"),
        (_change_the_signature, "its signature is wrong"),
        (_exchange_the_patch, "is not what was signed"),
        (_shorten_the_log, "the log ends at 3"),
    ],
)
def test_tampering_is_named(home: Home, tamper: Callable[[Home], None], finding: str) -> None:
    tamper(home)
    report = home.verify()
    assert not report.holds
    assert any(finding in found for found in report.findings)


def test_another_daemons_evidence_does_not_count(home: Home) -> None:
    other = base64.b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()
    assert any("another key" in found for found in home.verify(public_key=other).findings)


def test_the_manifest_names_everything_and_is_the_same_for_the_same_evidence(home: Home) -> None:
    content = json.loads(home.blobs.blob_read(home.manifest.sha256))
    assert content["artifacts"][0]["sha256"] == wire.sha256_hex(b"+hello\n")
    assert content["validations"] == [
        {"name": "lint", "command": "true", "verdict": "passed", "exit_code": 0, "duration_ms": 5}
    ]
    assert (content["base_commit"], content["task_digest"]) == ("1" * 40, home.step.task_digest)
    assert wire.canonical_json(content) == home.blobs.blob_read(home.manifest.sha256)


def test_the_result_carries_the_signed_manifest(home: Home) -> None:
    result = results.step_result(home.record.connection, home.record.step_now(home.step))
    evidence = selectors.evidence_find(home.record.connection, home.attempt.attempt_id)
    assert result.evidence is not None
    assert evidence is not None
    assert result.evidence == selectors.evidence_view(evidence)
    assert result.evidence.digest == home.manifest.sha256
    assert result.patch is not None
    assert [view.name for view in result.validations] == ["lint"]
    assert result.patch.sha256 == home.patch.sha256
