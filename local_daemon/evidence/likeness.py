"""Whether a result tells what its manifest does: of the same attempt, with the same commits, artifacts and verdicts.

A signature vouches for the manifest alone; whoever changes a result that lies beside it is found by this. What the
manifest does not name (`UNSIGNED`) nobody can check: it is decided after the manifest was signed, or is the executor's
own word. Pure. Called by `exported`. Tests: tests/unit/daemon/evidence/test_exported.py.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from local_daemon.protocol import specs

UNSIGNED = ("state", "summary", "failure", "warnings")
"""What a reader may take for evidence, and is the result's own word."""

_ALIKE = ("run_id", "step_id", "attempt_id", "executor", "base_commit", "head_commit", "changes_total")
"""What both call by the same name."""


def differences(document: Mapping[str, Any], result: specs.ResultSpec) -> Iterator[str]:
    """What the result does not tell as the manifest does, a sentence each."""
    for name in _ALIKE:
        if name in document and document[name] != getattr(result, name):
            yield f"the result's {name} is not the one that was signed"
    # A reference may have gone by the machine's retention since.
    if result.ref is not None and document.get("ref") != result.ref:
        yield "the result's ref is not the one that was signed"
    if document.get("patch_sha256") != (None if result.patch is None else result.patch.sha256):
        yield "the result's patch is not the one that was signed"
    yield from _of_artifacts(document, result)
    yield from _of_validations(document, result)


def _of_artifacts(document: Mapping[str, Any], result: specs.ResultSpec) -> Iterator[str]:
    signed = {entry["artifact_id"]: entry["sha256"] for entry in document["artifacts"]}
    if result.evidence is not None:  # The manifest can't name itself.
        signed[result.evidence.artifact_id] = result.evidence.digest
    told = {artifact.artifact_id: artifact for artifact in result.artifacts}
    for artifact_id, artifact in told.items():
        if signed.get(artifact_id) != artifact.sha256:
            yield f"artifact {artifact.name}: the result tells another one than was signed"
    for entry in document["artifacts"]:
        if entry["artifact_id"] not in told:
            yield f"artifact {entry['name']}: it was signed, and the result does not tell it"


def _of_validations(document: Mapping[str, Any], result: specs.ResultSpec) -> Iterator[str]:
    signed = Counter((entry["name"], entry["verdict"]) for entry in document["validations"])
    told = Counter((validation.name, str(validation.verdict)) for validation in result.validations)
    for name, verdict in told - signed:
        yield f"validation {name}: the result says {verdict}, and that was not signed"
    for name, verdict in signed - told:
        if name not in {named for named, _ in told}:
            yield f"validation {name}: {verdict} was signed, and the result does not tell it"
