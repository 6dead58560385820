"""`cloudctl limits`: what an organization or one of its tokens may use, and uses; and setting it.

Tests: tests/integration/cloud/cloudctl/test_limits.py.
"""

from typing import Any

import click

from cloud.cloudctl import acting, doors, printing
from cloud.cloudctl.door import Door

_OF_TOKEN = "/tokens/{token_id}/limits"  # noqa: S105 - a path
_token_option = click.option("--token", type=click.UUID, help="One of its tokens; without, all of them together.")


@click.group()
def limits() -> None:
    """Rates and quotas."""


@limits.command()
@acting.organization_option
@_token_option
@printing.output_option
def show(*, organization: str | None, token: str | None) -> None:
    """What is allowed, and what is used of it now."""
    printing.facts_print(_found(doors.door(organization), token))


@limits.command("set")
@acting.organization_option
@_token_option
@click.option("--calls-per-minute", type=int)
@click.option("--calls-burst", type=int, help="How many may come at once; a tenth of a minute's without.")
@click.option("--runs-at-once", type=int)
@click.option("--artifact-bytes-per-day", type=int)
@click.option("--cost-per-month", type=float, help="US dollars, as far as executors report cost.")
@acting.versioned
@printing.output_option
def set_(
    *,
    organization: str | None,
    token: str | None,
    cost_per_month: float | None,
    version: int | None,
    **counts: int | None,
) -> None:
    """Set them; what is not named falls back to the installation's own. An organization's are set in place only."""
    micros = None if cost_per_month is None else round(cost_per_month * 1_000_000)
    allowance = {**counts, "cost_micros_per_month": micros}
    door = doors.door(organization)
    if token is not None:
        names, match = {"token_id": str(token)}, acting.matching(version)
        printing.facts_print(door.ask("PUT", _OF_TOKEN, names, body=allowance, if_match=match))
        return
    doors.in_place_required()
    from cloud.cloudctl import installation

    installation.organization_limits_set(organization=organization, allowance=allowance, expected_version=version)
    printing.facts_print(_found(door, None))


def _found(door: Door, token: str | None) -> dict[str, Any]:
    found: dict[str, Any] = (
        door.ask("GET", "/limits") if token is None else door.ask("GET", _OF_TOKEN, {"token_id": str(token)})
    )
    return found
