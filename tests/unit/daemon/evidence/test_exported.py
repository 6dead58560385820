"""A manifest that left its home vouches for itself and for what lies beside it, by a key that somebody trusts."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.evidence import exported, likeness, signing
from local_daemon.protocol import specs, states, wire

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
OTHER = base64.b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()


@dataclass(frozen=True)
class Export:
    """A folder with a manifest and one of the two artifacts that it names."""

    folder: Path
    content: bytes
    signature: str
    trusted: tuple[str, ...] = (PUBLIC,)
    digest: str | None = None

    result: specs.ResultSpec = field(default_factory=lambda: RESULT)

    def verify(self) -> exported.ManifestReport:
        signed = specs.EvidenceView(
            artifact_id="art_m",
            digest=self.digest or wire.sha256_hex(self.content),
            signature=self.signature,
            public_key=PUBLIC,
        )
        return exported.manifest_verify(
            self.content,
            result=self.result.model_copy(update={"evidence": signed}),
            signed=signed,
            trusted_keys=self.trusted,
            folder=self.folder,
        )


def artifact(artifact_id: str, name: str, content: bytes) -> specs.ArtifactView:
    return specs.ArtifactView(
        artifact_id=artifact_id,
        step_id="step_1",
        attempt_id="att_1",
        kind="file",
        name=name,
        media_type="text/plain",
        size_bytes=len(content),
        sha256=wire.sha256_hex(content),
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def validation(name: str, verdict: states.ValidationVerdict) -> specs.ValidationView:
    return specs.ValidationView(
        validation_id=f"val_{name}",
        step_id="step_1",
        attempt_id="att_1",
        name=name,
        command="true",
        verdict=verdict,
        duration_ms=1,
    )


PATCH, STDOUT = artifact("art_1", "changes.patch", b"+hello\n"), artifact("art_2", "stdout.log", b"done\n")
LINT = validation("lint", states.ValidationVerdict.PASSED)
TESTS = validation("tests", states.ValidationVerdict.FAILED)
RESULT: specs.ResultSpec = specs.ResultSpec(
    run_id="run_1",
    step_id="step_1",
    attempt_id="att_1",
    state=states.StepState.COMPLETED,
    executor="fake",
    base_commit="1" * 40,
    head_commit="2" * 40,
    ref="refs/ropeway/a",
    patch=PATCH,
    changes_total=1,
    artifacts=(PATCH, STDOUT),
    validations=(LINT, TESTS),
)
SIGNED = {
    "version": "v1",
    "run_id": "run_1",
    "step_id": "step_1",
    "attempt_id": "att_1",
    "executor": "fake",
    "base_commit": "1" * 40,
    "head_commit": "2" * 40,
    "ref": "refs/ropeway/a",
    "patch_sha256": PATCH.sha256,
    "changes_total": 1,
    "artifacts": [
        {"artifact_id": each.artifact_id, "name": each.name, "sha256": each.sha256} for each in (PATCH, STDOUT)
    ],
    "validations": [{"name": each.name, "verdict": each.verdict} for each in (LINT, TESTS)],
}


@pytest.fixture
def export(tmp_path: Path) -> Export:
    (tmp_path / "changes.patch").write_bytes(b"+hello\n")
    return signed(Export(folder=tmp_path, content=wire.canonical_json(SIGNED), signature=""))


def manifest(*artifacts: dict[str, object]) -> bytes:
    return wire.canonical_json({**SIGNED, "artifacts": list(artifacts)})


def signed(export: Export) -> Export:
    return replace(export, signature=signing.evidence_sign(export.content, sign=KEY.sign))


def test_what_lies_there_holds_and_what_does_not_is_named(export: Export) -> None:
    report = export.verify()
    assert report.holds
    assert (report.step_id, report.attempt_id) == ("step_1", "att_1")
    assert (report.artifacts_checked, report.absent) == (1, ("stdout.log",))


def _patch_changed(export: Export) -> Export:
    (export.folder / "changes.patch").write_bytes(b"+hellO\n")
    return export


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (_patch_changed, "changes.patch: its bytes are not what was signed"),
        (lambda export: replace(export, content=export.content + b" "), "its signature is wrong"),
        (lambda export: replace(export, digest="0" * 64), "not those of the result"),
        (lambda export: replace(export, trusted=(OTHER,)), "nobody here vouches for"),
        (lambda export: replace(export, trusted=()), "nobody here vouches for"),
        (lambda export: signed(replace(export, content=b"[]")), "it is no manifest"),
        (lambda export: signed(replace(export, content=b"{" * 100_000)), "it is no manifest"),
        (lambda export: signed(replace(export, content=manifest({"name": 1, "sha256": ""}))), "it is no manifest"),
        (lambda export: signed(replace(export, content=manifest({"artifact_id": {}}))), "it is no manifest"),
    ],
)
def test_whatever_is_not_as_signed_is_named(export: Export, tamper: Callable[[Export], Export], finding: str) -> None:
    report = tamper(export).verify()
    assert not report.holds
    assert any(finding in each for each in report.findings)


def test_nothing_beside_the_folder_is_read(export: Export) -> None:
    outside = export.folder.parent / "outside"
    outside.write_text("x")
    content = manifest(
        {"artifact_id": "art_1", "name": "../outside", "sha256": wire.sha256_hex(b"x")},
        {"artifact_id": "art_2", "name": "..", "sha256": "0" * 64},
    )
    report = signed(replace(export, content=content)).verify()
    assert (report.artifacts_checked, report.absent) == (0, ("outside", ".."))


OTHER_PATCH = artifact("art_1", "changes.patch", b"+other\n")


@pytest.mark.parametrize(
    ("told", "finding"),
    [
        ({"run_id": "run_2"}, "the result's run_id is not"),
        ({"step_id": "step_2"}, "the result's step_id is not"),
        ({"attempt_id": "att_2"}, "the result's attempt_id is not"),
        ({"attempt_id": None}, "the result's attempt_id is not"),
        ({"executor": "codex"}, "the result's executor is not"),
        ({"base_commit": "3" * 40}, "the result's base_commit is not"),
        ({"head_commit": "3" * 40}, "the result's head_commit is not"),
        ({"ref": "refs/ropeway/b"}, "the result's ref is not"),
        ({"changes_total": 0}, "the result's changes_total is not"),
        ({"patch": OTHER_PATCH}, "the result's patch is not"),
        ({"patch": None}, "the result's patch is not"),
        ({"artifacts": (OTHER_PATCH, STDOUT)}, "changes.patch: the result tells another one"),
        ({"artifacts": (PATCH, STDOUT, artifact("art_3", "more.log", b""))}, "more.log: the result tells another one"),
        ({"artifacts": (PATCH,)}, "stdout.log: it was signed, and the result does not tell it"),
        ({"validations": (LINT,)}, "tests: failed was signed, and the result does not tell it"),
        (
            {"validations": (LINT, validation("tests", states.ValidationVerdict.PASSED))},
            "tests: the result says passed",
        ),
        ({"validations": (LINT, TESTS, validation("more", states.ValidationVerdict.PASSED))}, "more: the result says"),
    ],
)
def test_a_result_that_tells_otherwise_than_what_was_signed_is_named_once(
    export: Export, told: dict[str, object], finding: str
) -> None:
    (found,) = replace(export, result=RESULT.model_copy(update=told)).verify().findings
    assert finding in found


def test_a_result_whose_reference_has_gone_and_that_tells_the_manifest_itself_holds(export: Export) -> None:
    itself = artifact("art_m", "evidence.json", export.content)
    told = RESULT.model_copy(update={"ref": None, "artifacts": (PATCH, STDOUT, itself)})
    assert replace(export, result=told).verify().holds
    other = told.model_copy(update={"artifacts": (PATCH, STDOUT, artifact("art_m", "evidence.json", b"{}"))})
    assert not replace(export, result=other).verify().holds


def test_what_is_said_not_to_be_signed_is_in_results_and_in_no_manifest() -> None:
    assert set(likeness.UNSIGNED) <= specs.ResultSpec.model_fields.keys()
    assert set(likeness.UNSIGNED).isdisjoint(SIGNED)
