"""The audit's chains, where the database is: walked, held against what was kept elsewhere, handed out.

Called by `audit`. Tests: tests/integration/cloud/cloudctl/test_commands.py and test_checkpoints.py.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO
from uuid import UUID

from django_q.tasks import async_task, result

from cloud.access.principals import system_principal
from cloud.audit import checkpoints, pruning, seal, signing
from cloud.audit import export as exports
from cloud.audit import verify as verification
from cloud.audit.checkpoints import KeptCheckpoint
from cloud.audit.installation import INSTALLATION, NAME
from cloud.cloudctl import in_place
from cloud.tenancy import scope, selectors
from local_daemon.protocol import errors, limits

_CHECKPOINTS_BYTES = limits.BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """Whose; without a slug, of an organization that is gone."""

    id: UUID
    slug: str | None


def reports(slug: str | None, *, seals_first: bool, kept: BinaryIO | None) -> list[dict[str, Any]]:
    """What was found of each chain, or of one. Raises NotFound, InvalidRequest."""
    found = []
    for chain in _chains(slug):
        with scope.organization(chain.id):
            if seals_first:
                # All of it: in a restored database transaction numbers may have begun anew.
                seal.organization_seal_all(chain.id, is_complete=True)
            report = verification.chain_verify(chain.id)
        facts = {"organization": chain.slug, "organization_id": chain.id}
        found.append({**facts, "ok": report.ok, **asdict(report)})
    if kept is not None:
        _hold_against(found, _kept(kept), slug)
    return found


def checkpoint_lines(slug: str | None) -> Iterator[str]:
    """Where each chain stands, sealed to its end and signed. Raises NotFound."""
    for chain in _chains(slug):
        with scope.organization(chain.id):
            seal.organization_seal_all(chain.id, is_complete=True)
            made = checkpoints.checkpoint_make(chain.id)
        if made is not None:
            yield made.model_dump_json()


def export_write(slug: str | None, out: BinaryIO, *, asked: exports.Range) -> int | None:
    """Write a stretch of one chain; where the next one begins, if that is not all. Raises NotFound, RangeInvalid."""
    found = [chain for chain in _chains(slug) if slug or chain.slug not in (None, NAME)]
    if len(found) != 1:
        raise errors.InvalidRequest("Name the organization with --organization.")
    organization_id = found[0].id
    with scope.organization(organization_id):
        # All of it: in a restored database transaction numbers may have begun anew.
        seal.organization_seal_all(organization_id, is_complete=True)
        with pruning.held_off(organization_id):
            actor = system_principal(organization_id, label=in_place.LABEL)
            try:
                export = exports.export_begin(organization_id=organization_id, asked=asked, actor=actor)
            except exports.NothingToExport as error:
                raise errors.RangeInvalid("No sealed event lies in that range; name a wider one.") from error
            out.writelines(exports.export_pieces(export))
    return export.next_seq


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


def _chains(named: str | None) -> list[_Chain]:
    """Every organization's, then the installation's own and those of organizations that are gone; or the one that is
    named by its slug or id."""
    slugs = {INSTALLATION: NAME, **{row.id: row.slug for row in selectors.organizations()}}
    every = [_Chain(id=org_id, slug=slugs.get(org_id)) for org_id in selectors.audited_ids()]
    if named is None:
        return every
    found = [chain for chain in every if named in (chain.slug, str(chain.id))]
    if not found:
        raise errors.NotFound(f"There is no organization {named!r}, and there was none of that id.")
    return found
