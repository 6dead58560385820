"""`cloudctl audit`: read it, verify that it is what was written (status 1 when it is not), hand it out, count it.

What walks a chain is `chains`. Tests: tests/integration/cloud/cloudctl/test_commands.py and test_checkpoints.py.
"""

import sys
from datetime import UTC, datetime
from importlib import resources
from typing import Any, BinaryIO

import click

from cloud.cloudctl import acting, doors, printing

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])
_EVENT = ("at", "event_type", "actor", "target_kind", "target_id", "outcome", "duration_ms", "client_address")
_since_option = click.option("--since", type=_MOMENT, help="At or after this moment (UTC).")
_chain_option = click.option(
    "--organization", help="One organization by its slug, or by its id where it is gone; every one without."
)
_until_option = click.option("--until", type=_MOMENT, help="Before this moment (UTC).")


@click.group()
def audit() -> None:
    """Prove what happened."""


@audit.command(name="list")
@acting.organization_option
@click.option("--event-type", help="Only those: `token:minted`.")
@click.option("--actor", "actor_id", help="Only what they did: an id.")
@click.option("--target", "target_id", help="Only what was done to it: an id.")
@click.option("--call", "call_id", help="Only what belongs to this call.")
@click.option("--project", "project_name", help="Only those of this project.")
@click.option("--failed", "failed_only", is_flag=True, help="Only what did not go well.")
@_since_option
@_until_option
@acting.paged
@printing.output_option
def list_(
    *,
    organization: str | None,
    project_name: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str | None,
    **query: Any,
) -> None:
    """Who did what, and how it went; newest first."""
    door = doors.door(organization)
    asked = {**query, **acting.target_named(door, None, project_name), **_moments(since, until)}
    printing.page_print(acting.page_ask(door, "/audit", limit=limit, cursor=cursor, query=asked), *_EVENT)


@audit.command()
@acting.organization_option
@printing.output_option
def chain(*, organization: str | None) -> None:
    """How far the organization's chain goes, and what waits to be sealed; `verify` walks it."""
    printing.facts_print(doors.door(organization).ask("GET", "/audit/chain"))


@audit.command()
@_chain_option
@click.option("--seal", "seals_first", is_flag=True, help="Seal what is not sealed yet, then verify.")
@click.option("--checkpoints", type=click.File("rb"), help="What `cloudctl audit checkpoint` told, kept elsewhere.")
@printing.output_option
def verify(*, organization: str | None, seals_first: bool, checkpoints: BinaryIO | None) -> None:
    """Walk the hash chain of each organization from its first link, and check every signature.

    With --checkpoints also that each chain has come by what was kept elsewhere: a database that was set back to an
    older state verifies by itself, and not against those."""
    doors.in_place_required()
    from cloud.cloudctl import chains

    reports = chains.reports(organization, seals_first=seals_first, kept=checkpoints)
    is_good = all(report["ok"] for report in reports)
    if printing.is_for_people():
        names = ("organization", "ok", "sealed", "pruned", "unsealed", "checkpoints", "head_seq", "first_bad")
        printing.page_print({"items": reports}, *names)
    else:
        totals = {name: sum(report[name] for report in reports) for name in ("sealed", "unsealed")}
        printing.facts_print({"ok": is_good, **totals, "organizations": reports})
    sys.exit(0 if is_good else 1)


@audit.command()
@acting.organization_option
@click.option("--from-seq", "first_seq", type=click.IntRange(1), help="The first link.")
@click.option("--to-seq", "last_seq", type=click.IntRange(1), help="The last link.")
@_since_option
@_until_option
@click.option("--limit", type=click.IntRange(1), help="At most so many events, and never more than a million.")
@click.option("--out", type=click.File("wb"), default="-", help="Where to; standard output without.")
def export(
    *,
    organization: str | None,
    first_seq: int | None,
    last_seq: int | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    out: BinaryIO,
) -> None:
    """Write the sealed audit as signed JSON Lines; `cloudctl audit verifier` gives the program that checks them.

    What is left of what was asked for is another export: where it begins is said at the end."""
    asked = acting.given({"first_seq": first_seq, "last_seq": last_seq, "limit": limit})
    somewhere = doors.address()
    if somewhere is not None:
        from cloud.cloudctl import remote

        query = {**asked, **_moments(since, until)}
        told = remote.remote_door(somewhere, organization).save("/audit/export", query=query, out=out)
        next_seq: str | int | None = told.get("Ropeway-Next-Seq")
    else:
        doors.installation_ready()
        from cloud.audit.export import Range
        from cloud.cloudctl import chains

        stretch = Range(**asked, since=_utc(since), until=_utc(until))
        next_seq = chains.export_write(organization, out, asked=stretch)
    if next_seq is not None:
        click.echo(f"There is more: export again with --from-seq {next_seq}.", err=True)


@audit.command()
@_chain_option
def checkpoint(*, organization: str | None) -> None:
    """Print where each chain stands, signed, one JSON line each: keep it elsewhere, as often as you like."""
    doors.in_place_required()
    from cloud.cloudctl import chains

    for line in chains.checkpoint_lines(organization):
        click.echo(line)


@audit.command()
def verifier() -> None:
    """Print the stand-alone verifier: one file, plain Python, to carry to whoever checks an export."""
    click.echo(resources.files("cloud.audit").joinpath("standalone_verifier.py").read_text(), nl=False)


@audit.command(name="public-key")
@printing.output_option
def public_key() -> None:
    """Print the key that signs the audit, to be published where auditors find it, and those that signed before."""
    doors.in_place_required()
    from cloud.cloudctl import chains

    own, *former = chains.public_keys()
    printing.facts_print({"public_key": own, "former": former or None})


@audit.command()
@click.option("--timeout", "timeout_s", default=30, show_default=True, help="Seconds to wait for the worker.")
@printing.output_option
def aggregate(*, timeout_s: int) -> None:
    """Have the worker count the audit now, without waiting for the hour."""
    doors.in_place_required()
    from cloud.cloudctl import chains

    printing.facts_print({"counted": chains.aggregate(timeout_s=timeout_s)})


def _moments(since: datetime | None, until: datetime | None) -> dict[str, str]:
    found = {"since": _utc(since), "until": _utc(until)}
    return {name: moment.isoformat() for name, moment in found.items() if moment is not None}


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)
