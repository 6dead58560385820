"""`cloudctl usage`: what an organization used, and what a project's machine has on record of tokens and cost.

Tests: tests/integration/cloud/cloudctl/test_usage.py and tests/journeys/test_cloudctl.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from cloud.audit import selectors as audit
from cloud.cloudctl import acting, asking, printing
from cloud.limits import selectors as limits


@click.group()
def usage() -> None:
    """What was used."""


@usage.command()
@acting.organization_option
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 366), help="Count what happened in these.")
@printing.output_option
def show(*, organization: str, days: int) -> None:
    """What counts against the organization's limits now, and what happened, as the worker last counted it."""
    now = datetime.now(UTC)
    with acting.acting_in(organization) as principal:
        used = limits.organization_limits_get(grant=acting.granted(principal, limits.organization_limits_get))
        totals = audit.rollup_totals(principal.organization_id, since=now - timedelta(days=days - 1), until=now)
        counted_at = audit.counted_at(principal.organization_id)
    facts = {
        "calls_last_minute": used.calls_last_minute,
        "runs_under_way": used.runs_under_way,
        "artifact_bytes_today": used.artifact_bytes_today,
        "cost_usd_this_month": used.cost_micros_this_month / 1_000_000,
        "counted_at": counted_at,
    }
    events = [{"event_type": word, "outcome": outcome, "count": count} for word, outcome, count in totals]
    printing.facts_print(facts, parts={"events": events})


@usage.command()
@acting.organization_option
@click.argument("name", metavar="PROJECT")
@click.option("--location", help="Which of its places; not needed where it has one.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 31), help="How far back.")
@printing.output_option
def project(*, organization: str, name: str, location: str | None, days: int) -> None:
    """Tokens, cost and time by executor and model, as the project's machine has them on record."""
    machine = asking.machine_of_project(organization, name, location)
    found = machine.ask("usage.get", query={"days": days})
    by = [{"executor": row["executor"], "model": row.get("model"), **_spent(row["spent"])} for row in found["by"]]
    printing.facts_print({"since": found.get("since"), **_spent(found["spent"])}, parts={"by": by})


_SPENT = ("attempts", "unreported", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd", "duration_ms")


def _spent(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found.get(name) for name in _SPENT}
