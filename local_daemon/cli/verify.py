"""`ropeway verify`: the record checked by itself, without a daemon.

Tests: tests/integration/daemon/test_cli.py.
"""

import click

from local_daemon.artifacts.store import BlobStore
from local_daemon.cli import options
from local_daemon.cli.exit_codes import ExitCode
from local_daemon.config import home as homes
from local_daemon.evidence import verification
from local_daemon.identity import keys
from local_daemon.storage.errors import RecordUnreadable


@click.command()
@options.json_option
@click.pass_obj
def verify(home: homes.Home, *, as_json: bool) -> None:
    """Check every event chain, signature and byte of evidence. Needs no daemon."""
    if not home.record.exists() or not home.identity.exists():
        raise click.ClickException("There is no record in this home yet.")
    try:
        identity = keys.identity_ensure(home.identity)
        report = verification.home_verify(
            record=home.record,
            blobs=BlobStore(home.artifacts),
            public_key=identity.public_key,
            former_public_keys=identity.former_public_keys,
        )
    except (keys.IdentityDamaged, RecordUnreadable) as error:
        options.show(
            {"ok": False, "findings": [error.__doc__]},
            as_json=as_json,
            lines=[f"Not everything holds: {error.__doc__}"],
        )
        raise click.exceptions.Exit(ExitCode.NOT_VERIFIED) from error
    document = {
        "ok": report.holds,
        "logs": len(report.logs),
        "events": sum(log.checked for log in report.logs),
        "artifacts": report.artifacts_checked,
        "signatures": report.manifests_checked,
        "expired": report.artifacts_expired,
        "findings": list(report.findings),
    }
    counted = ((document[noun], noun) for noun in ("logs", "events", "artifacts", "signatures"))
    summary = ", ".join(f"{count} {noun.removesuffix('s') if count == 1 else noun}" for count, noun in counted)
    if report.artifacts_expired:
        summary += f", {report.artifacts_expired} artifacts expired by your retention"
    verdict = f"Everything holds: {summary}." if report.holds else f"Not everything holds, of {summary}:"
    options.show(document, as_json=as_json, lines=[verdict, *(f"  {finding}" for finding in report.findings)])
    raise click.exceptions.Exit(ExitCode.OK if report.holds else ExitCode.NOT_VERIFIED)
