"""`cloudctl usage`: what an organization used, and what a project's machine has on record of tokens and cost.

Tests: tests/integration/cloud/cloudctl/test_usage.py and tests/journeys/test_cloudctl.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from cloud.cloudctl import acting, asking, doors, printing

# As the API says them; a test holds the two together.
COST_GROUPS = ("project", "run", "token", "executor", "model")
_SPENT = ("attempts", "unreported", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd", "duration_ms")


@click.group()
def usage() -> None:
    """What was used."""


@usage.command()
@acting.organization_option
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 366), help="How far back.")
@click.option("--token", "token_id", type=click.UUID, help="Only what this token used.")
@printing.output_option
def show(*, organization: str | None, days: int, token_id: str | None) -> None:
    """What counts against the organization's limits now, and what each token used a day: bytes, and cost in millionths
    of a US dollar."""
    door = doors.door(organization)
    limits = door.ask("GET", "/limits")
    since = (datetime.now(UTC) - timedelta(days=days - 1)).date().isoformat()
    query = {"since": since, "token_id": token_id}
    by_day = acting.page_ask(door, "/usage", limit=acting.ROWS_MAX, cursor=None, query=query)["items"]
    names = ("calls_last_minute", "runs_under_way", "artifact_bytes_today", "cost_micros_this_month")
    printing.facts_print({name: limits[name] for name in names}, parts={"by_day": by_day})


@usage.command()
@acting.organization_option
@click.option(
    "--by", "period", default="day", show_default=True, type=click.Choice(["hour", "day"]), help="Counted by."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="How many at most.")
@printing.output_option
def events(*, organization: str | None, period: str, limit: int) -> None:
    """How often what happened, as the worker last counted; newest first."""
    query = {"period": period, "limit": limit}
    printing.page_print(doors.door(organization).ask("GET", "/audit/counts", query=query))


@usage.command()
@acting.organization_option
@click.option("--by", default="project", show_default=True, type=click.Choice(COST_GROUPS), help="Whose cost.")
@click.option("--project", "project_name", help="Only in this project.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1), help="How far back.")
@printing.output_option
def costs(*, organization: str | None, by: str, project_name: str | None, days: int) -> None:
    """What executors reported of finished attempts, in millionths of a US dollar; the dearest first."""
    door = doors.door(organization)
    query = {"by": by, "days": days, **acting.target_named(door, None, project_name)}
    printing.page_print(door.ask("GET", "/usage/costs", query=query))


@usage.command()
@acting.organization_option
@click.argument("name", metavar="PROJECT")
@click.option("--location", help="Which of its places; not needed where it has one.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 31), help="How far back.")
@printing.output_option
def project(*, organization: str | None, name: str, location: str | None, days: int) -> None:
    """Tokens, cost and time by executor and model, as the project's machine has them on record."""
    machine = asking.machine_of_project(doors.door(organization), name, location)
    found = machine.ask("usage.get", query={"days": days})
    by = [{"executor": row["executor"], "model": row.get("model"), **_spent(row["spent"])} for row in found["by"]]
    printing.facts_print({"since": found.get("since"), **_spent(found["spent"])}, parts={"by": by})


def _spent(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found.get(name) for name in _SPENT}
