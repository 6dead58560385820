"""The audit's chains, where the database is: walked, held against what was kept elsewhere, handed out.

Called by `audit`. Tests: tests/integration/cloud/cloudctl/test_commands.py and test_checkpoints.py.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, BinaryIO

from django_q.tasks import async_task, result

from cloud.audit import checkpoints, seal, signing
from cloud.audit import export as exports
from cloud.audit import verify as verification
from cloud.audit.checkpoints import KeptCheckpoint
from cloud.tenancy import scope, selectors
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors, limits

_CHECKPOINTS_BYTES = limits.BODY_BYTES


def reports(slug: str | None, *, seals_first: bool, kept: BinaryIO | None) -> list[dict[str, Any]]:
    """What was found of each chain, or of one. Raises NotFound, InvalidRequest."""
    found = []
    for organization in _organizations(slug):
        with scope.organization(organization.id):
            if seals_first:
                # All of it: in a restored database transaction numbers may have begun anew.
                seal.organization_seal_all(organization.id, is_complete=True)
            report = verification.chain_verify(organization.id)
        facts = {"organization": organization.slug, "organization_id": organization.id}
        found.append({**facts, "ok": report.ok, **asdict(report)})
    if kept is not None:
        _hold_against(found, _kept(kept), slug)
    return found


def checkpoint_lines(slug: str | None) -> Iterator[str]:
    """Where each chain stands, sealed to its end and signed. Raises NotFound."""
    for organization in _organizations(slug):
        with scope.organization(organization.id):
            seal.organization_seal_all(organization.id, is_complete=True)
            made = checkpoints.checkpoint_make(organization.id)
        if made is not None:
            yield made.model_dump_json()


def export_write(
    slug: str | None,
    out: BinaryIO,
    *,
    first_seq: int | None,
    last_seq: int | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Write a stretch of one chain. Raises NotFound, RangeInvalid."""
    found = _organizations(slug)
    if len(found) != 1:
        raise errors.InvalidRequest("Name the organization with --organization.")
    asked = exports.Range(first_seq=first_seq, last_seq=last_seq, since=since, until=until)
    with scope.organization(found[0].id):
        seal.organization_seal_all(found[0].id, is_complete=True)
        try:
            out.writelines(exports.events_export(found[0].id, asked=asked))
        except exports.NothingToExport as error:
            raise errors.RangeInvalid("No sealed event lies in that range; name a wider one.") from error


def public_keys() -> list[str]:
    """The key that signs, then those that did."""
    return [key.hex() for key in signing.believed_keys()]


def aggregate(*, timeout_s: int) -> int:
    """Have the worker count now; how many events that were. Raises DeadlineExceeded."""
    task = async_task("cloud.schedules.audit_rollups.run")
    counted: int | None = result(task, wait=timeout_s * 1000)
    if counted is None:
        raise errors.DeadlineExceeded("The worker did not count in time; is it running?")
    return counted


def _kept(file: BinaryIO) -> list[KeptCheckpoint]:
    content = file.read(_CHECKPOINTS_BYTES + 1)
    if len(content) > _CHECKPOINTS_BYTES:
        raise errors.PayloadTooLarge(limit=_CHECKPOINTS_BYTES)
    return [checkpoints.checkpoint_read(line) for line in content.splitlines() if line.strip()]


def _hold_against(found: list[dict[str, Any]], kept: list[KeptCheckpoint], slug: str | None) -> None:
    """Whether each chain has come by what was kept of it; what was kept of an organization that is gone, too."""
    by_id = {report["organization_id"]: report for report in found}
    for checkpoint in kept:
        report = by_id.get(checkpoint.organization_id)
        if report is None:
            if slug is None:
                gone = f"There was an organization {checkpoint.organization_id}, and there is none."
                found.append({"organization": None, "ok": False, "sealed": 0, "unsealed": 0, "first_bad": gone})
            continue
        with scope.organization(checkpoint.organization_id):
            fault = checkpoints.checkpoint_fault(checkpoint)
        if fault is not None and report["ok"]:
            report["ok"], report["first_bad"] = False, fault


def _organizations(slug: str | None) -> list[Organization]:
    found = selectors.organizations(slug=slug)
    if slug and not found:
        raise errors.NotFound(f"There is no organization {slug!r}.")
    return found
