"""Checks a manifest that left its home: the signature over it, who signed, that the result brought with it tells the
same, and the artifacts that lie beside it.

Needs no record and no daemon, so it works wherever the files are. A signature says only who signed: a key that nobody
vouches for proves nothing. Reads only. Called by `ropeway verify --manifest`.
Tests: tests/unit/daemon/evidence/test_exported.py.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_daemon.evidence import likeness, manifest, signing
from local_daemon.protocol import specs, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestReport:
    """What checking an exported manifest found. `absent` are artifacts it names that do not lie beside it."""

    step_id: str
    attempt_id: str
    artifacts_checked: int
    absent: tuple[str, ...]
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether it is what a trusted daemon signed, and all that lies beside it is what it names."""
        return not self.findings


def manifest_verify(
    content: bytes,
    *,
    result: specs.ResultSpec,
    signed: specs.EvidenceView,
    trusted_keys: Collection[str],
    folder: Path,
) -> ManifestReport:
    """Check the manifest's bytes against what the result says of them (`signed`, its evidence), the result against the
    manifest, and the artifacts in `folder`."""
    findings = list(_signature_problems(content, signed=signed, trusted_keys=trusted_keys))
    document = _read(content)
    if document is None:
        return ManifestReport(
            step_id="", attempt_id="", artifacts_checked=0, absent=(), findings=(*findings, "it is no manifest")
        )
    findings += likeness.differences(document, result)
    checked, absent = 0, []
    for name, digests in _digests(document).items():
        file = folder / name
        if not file.is_file():
            absent.append(name)
            continue
        checked += 1
        if _digest(file) not in digests:
            findings.append(f"artifact {name}: its bytes are not what was signed")
    return ManifestReport(
        step_id=str(document["step_id"]),
        attempt_id=str(document["attempt_id"]),
        artifacts_checked=checked,
        absent=tuple(absent),
        findings=tuple(findings),
    )


def _signature_problems(content: bytes, *, signed: specs.EvidenceView, trusted_keys: Collection[str]) -> Iterator[str]:
    if wire.sha256_hex(content) != signed.digest:
        yield "its bytes are not those of the result"
    if signed.public_key not in trusted_keys:
        yield f"it is signed with a key that nobody here vouches for: {signed.public_key[:64]}"
    if not signing.evidence_verify(content, signature=signed.signature, public_key=signed.public_key):
        yield "its signature is wrong"


def _read(content: bytes) -> Mapping[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("version") != manifest.MANIFEST_VERSION:
        return None
    is_whole = (
        {"step_id", "attempt_id"} <= document.keys()
        and _has_texts(document.get("artifacts"), "artifact_id", "name", "sha256")
        and _has_texts(document.get("validations"), "name", "verdict")
    )
    return document if is_whole else None


def _has_texts(entries: object, *names: str) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in names) for entry in entries
    )


def _digests(document: Mapping[str, Any]) -> Mapping[str, set[str]]:
    """By the name of the file that an artifact becomes, which is the last of its own, whatever stands in that: nothing
    beside the folder is ever read. Of two with one name a folder has room for one."""
    digests: dict[str, set[str]] = {}
    for entry in document["artifacts"]:
        digests.setdefault(Path(entry["name"]).name or "nameless", set()).add(entry["sha256"])
    return digests


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
