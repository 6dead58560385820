"""`cloudctl audit`: verify that it is what was written (exit status 1 when it is not), and have it counted.

Tests: tests/integration/cloud/cloudctl/test_commands.py.
"""

import sys
from dataclasses import asdict
from typing import Any

import click
from django_q.tasks import async_task, result

from cloud.audit import seal
from cloud.audit import verify as verification
from cloud.cloudctl import printing
from cloud.tenancy import scope, selectors


@click.group()
def audit() -> None:
    """Prove what happened."""


@audit.command()
@click.option("--organization", help="Slug of one organization; every one without.")
@click.option("--seal", "seals_first", is_flag=True, help="Seal what is not sealed yet, then verify.")
@printing.output_option
def verify(*, organization: str | None, seals_first: bool) -> None:
    """Walk the hash chain of each organization from its first link, and check every signature."""
    reports = _reports(organization, seals_first=seals_first)
    is_good = all(report["ok"] for report in reports)
    if printing.is_for_people():
        printing.rows_print(reports)
    else:
        totals = {name: sum(report[name] for report in reports) for name in ("sealed", "unsealed")}
        printing.facts_print({"ok": is_good, **totals, "organizations": reports})
    sys.exit(0 if is_good else 1)


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
    organizations = selectors.organizations(slug=slug)
    if slug and not organizations:
        raise click.ClickException(f"There is no organization {slug!r}.")
    reports = []
    for organization in organizations:
        with scope.organization(organization.id):
            if seals_first:
                seal.organization_seal_all(organization.id)
            report = verification.chain_verify(organization.id)
        reports.append({"organization": organization.slug, "ok": report.ok, **asdict(report)})
    return reports
