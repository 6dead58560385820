"""`ropeway verify`: the record checked by itself, or a manifest that left it; without a daemon.

Tests: tests/integration/daemon/test_cli.py, tests/integration/daemon/test_verify.py.
"""

from pathlib import Path

import click
from pydantic import ValidationError

from local_daemon.artifacts.store import BlobStore
from local_daemon.cli import options
from local_daemon.cli.exit_codes import ExitCode
from local_daemon.config import home as homes
from local_daemon.evidence import exported, likeness, verification
from local_daemon.identity import keys
from local_daemon.protocol import errors, limits, specs
from local_daemon.scheduler import kept_references
from local_daemon.storage.errors import RecordUnreadable

_MANIFEST_BYTES_MAX = 16 * limits.MIB
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--manifest", "manifest", type=_FILE, help="Check this manifest instead, wherever it was signed.")
@click.option("--result", "result", type=_FILE, help="Its step's result as JSON, in which its signature stands.")
@click.option("--key", "given_keys", multiple=True, help="A public key you trust (default: those of this home).")
@options.json_option
@click.pass_obj
def verify(
    home: homes.Home, *, manifest: Path | None, result: Path | None, given_keys: tuple[str, ...], as_json: bool
) -> None:
    """Check every event chain, signature, byte of evidence and reference to a result. Needs no daemon.

    With --manifest and --result, check evidence that was brought elsewhere: that the result tells what was signed, and
    the artifacts that lie beside it.
    `ropeway artifact get STEP --output FOLDER` and `ropeway step result STEP --json` bring it out; `ropeway identity
    show` tells the --key where the work was done."""
    if (manifest is None) != (result is None) or (manifest is None and given_keys):
        raise click.UsageError("--manifest and --result go together; --key goes with them.")
    if manifest is not None and result is not None:
        _manifest_verify(home, manifest, result, given_keys, as_json=as_json)
    else:
        _home_verify(home, as_json=as_json)


def _home_verify(home: homes.Home, *, as_json: bool) -> None:
    if not home.record.exists() or not home.identity.exists():
        raise errors.NotFound("There is no record in this home yet.")
    try:
        identity = keys.identity_ensure(home.identity)
        report = verification.home_verify(
            record=home.record,
            blobs=BlobStore(home.artifacts),
            public_key=identity.public_key,
            former_public_keys=identity.former_public_keys,
        )
        findings = (*report.findings, *kept_references.references_missed(home.record))
    except (keys.IdentityDamaged, RecordUnreadable) as error:
        options.show(
            {"ok": False, "findings": [errors.said(error)]},
            as_json=as_json,
            lines=[f"Not everything holds: {errors.said(error)}"],
        )
        raise click.exceptions.Exit(ExitCode.NOT_VERIFIED) from error
    document = {
        "ok": not findings,
        "logs": len(report.logs),
        "events": sum(log.checked for log in report.logs),
        "artifacts": report.artifacts_checked,
        "signatures": report.manifests_checked,
        "expired": report.artifacts_expired,
        "findings": list(findings),
    }
    counted = ((document[noun], noun) for noun in ("logs", "events", "artifacts", "signatures"))
    summary = ", ".join(f"{count} {noun.removesuffix('s') if count == 1 else noun}" for count, noun in counted)
    if report.artifacts_expired:
        summary += f", {report.artifacts_expired} artifacts expired by your retention"
    verdict = f"Not everything holds, of {summary}:" if findings else f"Everything holds: {summary}."
    options.show(document, as_json=as_json, lines=[verdict, *(f"  {finding}" for finding in findings)])
    raise click.exceptions.Exit(ExitCode.NOT_VERIFIED if findings else ExitCode.OK)


def _manifest_verify(
    home: homes.Home, manifest: Path, result: Path, given_keys: tuple[str, ...], *, as_json: bool
) -> None:
    (told, signed), own_keys = _told(result), _own_keys(home)
    report = exported.manifest_verify(
        _read(manifest),
        result=told,
        signed=signed,
        trusted_keys=given_keys or own_keys,
        folder=manifest.resolve().parent,
    )
    findings = list(report.findings)
    if report.holds and own_keys[:1] == (signed.public_key,) and not _is_on_record(home, report, signed):
        findings.append("this home's daemon signed it, and this home's record does not have it")
    document = {
        "ok": not findings,
        "step_id": report.step_id,
        "attempt_id": report.attempt_id,
        "artifacts": report.artifacts_checked,
        "absent": list(report.absent),
        "unsigned": list(likeness.UNSIGNED),
        "findings": findings,
    }
    lines = ["It does not hold:" if findings else f"It holds: the evidence of {report.attempt_id}, {_beside(report)}."]
    lines += [f"  {finding}" for finding in findings]
    lines.append(f"  not signed, and the result's word alone: {', '.join(likeness.UNSIGNED)}")
    if report.absent:
        lines.append(f"  not here, and not checked: {', '.join(report.absent)}")
    options.show(document, as_json=as_json, lines=lines)
    raise click.exceptions.Exit(ExitCode.NOT_VERIFIED if findings else ExitCode.OK)


def _is_on_record(home: homes.Home, report: exported.ManifestReport, signed: specs.EvidenceView) -> bool:
    if not home.record.exists():
        return True  # Only the identity is here; nothing was lost that could be.
    try:
        return verification.manifest_is_on_record(home.record, attempt_id=report.attempt_id, digest=signed.digest)
    except RecordUnreadable as error:
        raise click.ClickException(errors.said(error)) from error


def _own_keys(home: homes.Home) -> tuple[str, ...]:
    """The keys of this home's daemon, its present one first; none is made for looking."""
    if not home.identity.exists():
        return ()
    try:
        identity = keys.identity_ensure(home.identity)
    except keys.IdentityDamaged as error:
        raise click.ClickException(errors.said(error)) from error
    return (identity.public_key, *identity.former_public_keys)


def _beside(report: exported.ManifestReport) -> str:
    if not report.artifacts_checked:
        return "but no artifact lies beside it to check"
    return f"with {report.artifacts_checked} artifact{'s' if report.artifacts_checked > 1 else ''} beside it"


def _told(result: Path) -> tuple[specs.ResultSpec, specs.EvidenceView]:
    try:
        told = specs.ResultSpec.model_validate_json(_read(result))
    except ValidationError:
        told = None
    if told is None or told.evidence is None:
        raise click.ClickException(f"{result.name} is no result of a step with evidence.")
    return told, told.evidence


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(_MANIFEST_BYTES_MAX + 1)
    if len(content) > _MANIFEST_BYTES_MAX:
        raise click.ClickException(f"{file.name} is longer than {_MANIFEST_BYTES_MAX} bytes.")
    return content
