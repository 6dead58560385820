"""`cloudctl audit verify`: is the audit what was written. Exit status 1 when it is not.

Tests: tests/integration/cloud/cloudctl/test_audit.py.
"""

import sys
from dataclasses import asdict
from typing import Any

import click

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
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def verify(*, organization: str | None, seals_first: bool, as_json: bool) -> None:
    """Walk the hash chain of each organization from its first link, and check every signature."""
    is_good = True
    for slug, facts in _reports(organization, seals_first=seals_first):
        printing.facts_print({"organization": slug, **facts}, as_json=as_json)
        is_good = is_good and facts["ok"]
    sys.exit(0 if is_good else 1)


def _reports(slug: str | None, *, seals_first: bool) -> list[tuple[str, dict[str, Any]]]:
    organizations = selectors.organizations(slug=slug)
    if slug and not organizations:
        raise click.ClickException(f"There is no organization {slug!r}.")
    reports = []
    for organization in organizations:
        with scope.organization(organization.id):
            while seals_first and seal.organization_seal(organization.id):
                pass
            report = verification.chain_verify(organization.id)
        reports.append((organization.slug, {"ok": report.ok, **asdict(report)}))
    return reports
