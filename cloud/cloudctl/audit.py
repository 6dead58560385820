"""`cloudctl audit`: verify that it is what was written (exit status 1 when it is not), hand it out, have it counted.

Tests: tests/integration/cloud/cloudctl/test_commands.py.
"""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import resources
from typing import Any, BinaryIO

import click
from django_q.tasks import async_task, result

from cloud.audit import checkpoints as checkpoints_
from cloud.audit import export as exports
from cloud.audit import seal, signing
from cloud.audit import verify as verification
from cloud.audit.checkpoints import KeptCheckpoint
from cloud.cloudctl import printing
from cloud.tenancy import scope, selectors
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors, limits

_CHECKPOINTS_BYTES = limits.BODY_BYTES
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


@click.group()
def audit() -> None:
    """Prove what happened."""


@audit.command()
@click.option("--organization", help="Slug of one organization; every one without.")
@click.option("--seal", "seals_first", is_flag=True, help="Seal what is not sealed yet, then verify.")
@click.option("--checkpoints", type=click.File("rb"), help="What `cloudctl audit checkpoint` told, kept elsewhere.")
@printing.output_option
def verify(*, organization: str | None, seals_first: bool, checkpoints: BinaryIO | None) -> None:
    """Walk the hash chain of each organization from its first link, and check every signature.

    With --checkpoints also that each chain has come by what was kept elsewhere: a database that was set back to an
    older state verifies by itself, and not against those."""
    reports = _reports(organization, seals_first=seals_first)
    if checkpoints is not None:
        _hold_against(reports, _kept(checkpoints), organization)
    is_good = all(report["ok"] for report in reports)
    if printing.is_for_people():
        printing.rows_print(reports)
    else:
        totals = {name: sum(report[name] for report in reports) for name in ("sealed", "unsealed")}
        printing.facts_print({"ok": is_good, **totals, "organizations": reports})
    sys.exit(0 if is_good else 1)


@audit.command()
@click.option("--organization", required=True, help="Slug of the organization.")
@click.option("--from-seq", "first_seq", type=click.IntRange(1), help="The first link.")
@click.option("--to-seq", "last_seq", type=click.IntRange(1), help="The last link.")
@click.option("--since", type=_MOMENT, help="From the first event at or after this moment (UTC).")
@click.option("--until", type=_MOMENT, help="To the last event before this moment (UTC).")
@click.option("--out", type=click.File("wb"), default="-", help="Where to; standard output without.")
def export(
    *,
    organization: str,
    first_seq: int | None,
    last_seq: int | None,
    since: datetime | None,
    until: datetime | None,
    out: BinaryIO,
) -> None:
    """Write the sealed audit as signed JSON Lines; `cloudctl audit verifier` gives the program that checks them."""
    found = _organizations(organization)[0]
    asked = exports.Range(first_seq=first_seq, last_seq=last_seq, since=_utc(since), until=_utc(until))
    with scope.organization(found.id):
        seal.organization_seal_all(found.id, is_complete=True)
        try:
            out.writelines(exports.events_export(found.id, asked=asked))
        except exports.NothingToExport as error:
            raise click.ClickException("No sealed event lies in that range; name a wider one.") from error


@audit.command()
@click.option("--organization", help="Slug of one organization; every one without.")
def checkpoint(*, organization: str | None) -> None:
    """Print where each chain stands, signed, one JSON line each: keep it elsewhere, as often as you like."""
    for found in _organizations(organization):
        with scope.organization(found.id):
            seal.organization_seal_all(found.id, is_complete=True)
            made = checkpoints_.checkpoint_make(found.id)
        if made is not None:
            click.echo(made.model_dump_json())


@audit.command()
def verifier() -> None:
    """Print the stand-alone verifier: one file, plain Python, to carry to whoever checks an export."""
    click.echo(resources.files("cloud.audit").joinpath("standalone_verifier.py").read_text(), nl=False)


@audit.command(name="public-key")
@printing.output_option
def public_key() -> None:
    """Print the key that signs the audit, to be published where auditors find it, and those that signed before."""
    own, *former = (key.hex() for key in signing.believed_keys())
    printing.facts_print({"public_key": own, "former": former or None})


@audit.command()
@click.option("--timeout", "timeout_s", default=30, show_default=True, help="Seconds to wait for the worker.")
@printing.output_option
def aggregate(*, timeout_s: int) -> None:
    """Have the worker count the audit now, without waiting for the hour."""
    task = async_task("cloud.schedules.audit_rollups.run")
    counted = result(task, wait=timeout_s * 1000)
    if counted is None:
        raise click.ClickException("The worker did not count in time; is it running?")
    printing.facts_print({"counted": counted})


def _reports(slug: str | None, *, seals_first: bool) -> list[dict[str, Any]]:
    reports = []
    for organization in _organizations(slug):
        with scope.organization(organization.id):
            if seals_first:
                # All of it: in a restored database transaction numbers may have begun anew.
                seal.organization_seal_all(organization.id, is_complete=True)
            report = verification.chain_verify(organization.id)
        facts = {"organization": organization.slug, "organization_id": organization.id}
        reports.append({**facts, "ok": report.ok, **asdict(report)})
    return reports


def _kept(file: BinaryIO) -> list[KeptCheckpoint]:
    lines = [line for line in file.read(_CHECKPOINTS_BYTES + 1).splitlines() if line.strip()]
    if sum(map(len, lines)) > _CHECKPOINTS_BYTES:
        raise errors.PayloadTooLarge(limit=_CHECKPOINTS_BYTES)
    return [checkpoints_.checkpoint_read(line) for line in lines]


def _hold_against(reports: list[dict[str, Any]], kept: list[KeptCheckpoint], slug: str | None) -> None:
    """Whether each chain has come by what was kept of it; what was kept of an organization that is gone, too."""
    by_id = {report["organization_id"]: report for report in reports}
    for checkpoint in kept:
        report = by_id.get(checkpoint.organization_id)
        if report is None:
            if slug is None:
                gone = f"There was an organization {checkpoint.organization_id}, and there is none."
                reports.append({"organization": None, "ok": False, "sealed": 0, "unsealed": 0, "first_bad": gone})
            continue
        with scope.organization(checkpoint.organization_id):
            fault = checkpoints_.checkpoint_fault(checkpoint)
        if fault is not None and report["ok"]:
            report["ok"], report["first_bad"] = False, fault


def _organizations(slug: str | None) -> list[Organization]:
    found = selectors.organizations(slug=slug)
    if slug and not found:
        raise click.ClickException(f"There is no organization {slug!r}.")
    return found


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)
