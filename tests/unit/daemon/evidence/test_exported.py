"""A manifest that left its home vouches for itself and for what lies beside it, by a key that somebody trusts."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.evidence import exported, signing
from local_daemon.protocol import specs, wire

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

    def verify(self) -> exported.ManifestReport:
        signed = specs.EvidenceView(
            artifact_id="art_1",
            digest=self.digest or wire.sha256_hex(self.content),
            signature=self.signature,
            public_key=PUBLIC,
        )
        return exported.manifest_verify(self.content, signed=signed, trusted_keys=self.trusted, folder=self.folder)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    (tmp_path / "changes.patch").write_bytes(b"+hello\n")
    content = manifest(
        {"name": "changes.patch", "sha256": wire.sha256_hex(b"+hello\n")},
        {"name": "stdout.log", "sha256": wire.sha256_hex(b"done\n")},
    )
    return signed(Export(folder=tmp_path, content=content, signature=""))


def manifest(*artifacts: dict[str, object]) -> bytes:
    document = {"version": "v1", "step_id": "step_1", "attempt_id": "att_1", "artifacts": list(artifacts)}
    return wire.canonical_json(document)


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
    ],
)
def test_whatever_is_not_as_signed_is_named(export: Export, tamper: Callable[[Export], Export], finding: str) -> None:
    report = tamper(export).verify()
    assert not report.holds
    assert any(finding in each for each in report.findings)


def test_nothing_beside_the_folder_is_read(export: Export) -> None:
    outside = export.folder.parent / "outside"
    outside.write_text("x")
    content = manifest({"name": "../outside", "sha256": wire.sha256_hex(b"x")}, {"name": "..", "sha256": "0" * 64})
    report = signed(replace(export, content=content)).verify()
    assert (report.artifacts_checked, report.absent) == (0, ("outside", ".."))
