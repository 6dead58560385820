"""`cloudctl limits`: what an organization or one of its tokens may use, and uses; and setting it.

Tests: tests/integration/cloud/cloudctl/test_limits.py.
"""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import click

from cloud.cloudctl import acting, printing
from cloud.limits import selectors, services
from cloud.limits.allowances import Allowance

_token_option = click.option("--token", type=click.UUID, help="One of its tokens; without, all of them together.")


@click.group()
def limits() -> None:
    """Rates and quotas."""


@limits.command()
@acting.organization_option
@_token_option
@printing.output_option
def show(*, organization: str, token: UUID | None) -> None:
    """What is allowed, and what is used of it now."""
    with acting.acting_in(organization) as principal:
        found = _facts(principal.organization_id, token)
    printing.facts_print(found)


@limits.command("set")
@acting.organization_option
@_token_option
@click.option("--calls-per-minute", type=int)
@click.option("--calls-burst", type=int, help="How many may come at once; a tenth of a minute's without.")
@click.option("--runs-at-once", type=int)
@click.option("--artifact-bytes-per-day", type=int)
@click.option("--cost-per-month", type=float, help="US dollars, as far as executors report cost.")
@acting.version_option
@printing.output_option
def set_(
    *,
    organization: str,
    token: UUID | None,
    cost_per_month: float | None,
    expected_version: int | None,
    **counts: int | None,
) -> None:
    """Set them; what is not named falls back to the installation's own."""
    micros = None if cost_per_month is None else round(cost_per_month * 1_000_000)
    allowance = Allowance(**counts, cost_micros_per_month=micros)
    with acting.acting_in(organization) as principal:
        if token is None:
            services.organization_limits_set(
                organization_id=principal.organization_id,
                allowance=allowance,
                expected_version=expected_version,
                actor=principal,
            )
        else:
            grant = acting.granted(principal, services.token_limits_set)
            services.token_limits_set(
                grant=grant, token_id=token, allowance=allowance, expected_version=expected_version
            )
        found = _facts(principal.organization_id, token)
    printing.facts_print(found)


def _facts(organization_id: UUID, token: UUID | None) -> dict[str, Any]:
    found = selectors.limit_use(organization_id=organization_id, token_id=token)
    return {
        **asdict(found.allowance),
        "version": found.version,
        "calls_last_minute": found.calls_last_minute,
        "runs_under_way": found.runs_under_way,
        "artifact_bytes_today": found.artifact_bytes_today,
        "cost_micros_this_month": found.cost_micros_this_month,
    }
