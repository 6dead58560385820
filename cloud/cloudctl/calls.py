"""`cloudctl call`: the action log; who asked what of which machine, and what came of it.

Tests: tests/integration/cloud/cloudctl/test_usage.py.
"""

import click

from cloud.cloudctl import acting, doors, printing
from local_daemon.protocol.states import CallState

_COLUMNS = ("call_id", "operation", "state", "actor", "project_id", "accepted_at", "ended_at", "status", "answer_code")


@click.group()
def call() -> None:
    """Calls: what was asked of machines."""


@call.command(name="list")
@acting.organization_option
@click.option("--project", "project_name", help="Only those in this project.")
@click.option("--operation", help="Only those: `steps.submit`.")
@click.option("--state", type=click.Choice([state.value for state in CallState]), help="Only those.")
@click.option("--actor", "actor_id", help="Only those of this caller.")
@acting.paged
@printing.output_option
def call_list(
    *, organization: str | None, project_name: str | None, limit: int, cursor: str | None, **query: str | None
) -> None:
    """The organization's calls, newest first."""
    door = doors.door(organization)
    asked = {**query, **acting.target_named(door, None, project_name)}
    printing.page_print(acting.page_ask(door, "/calls", limit=limit, cursor=cursor, query=asked), *_COLUMNS)


@call.command(name="show")
@acting.organization_option
@click.argument("call_id")
@printing.output_option
def call_show(*, organization: str | None, call_id: str) -> None:
    """One call, whoever made it."""
    printing.facts_print(doors.door(organization).ask("GET", "/calls/{call_id}", {"call_id": call_id}))
