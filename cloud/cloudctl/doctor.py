"""`cloudctl doctor`: whether an installation has what it needs, each thing tried, with a next step for what is wrong.

By URL it tries the way there and the token. Repairs nothing. Status 1 when something fails; a warning does not. Tests:
tests/integration/cloud/cloudctl/test_doctor.py and tests/journeys/test_cloudctl.py.
"""

from collections.abc import Iterator
from dataclasses import asdict

import click

from cloud.cloudctl import doors, exits, printing, reaching
from cloud.health.findings import Finding, Level
from local_daemon.protocol import errors

_SIGNS = {Level.OK: "ok  ", Level.WARN: "warn", Level.FAIL: "FAIL"}


@click.command()
@click.option("--address", help="The URL that planners and machines use: whether it is reached, websockets included.")
@printing.output_option
def doctor(*, address: str | None) -> None:
    """Say whether this installation, or the way to the one by URL, has what it needs."""
    findings = list(_findings(address))
    is_well = all(finding.level is not Level.FAIL for finding in findings)
    if printing.is_for_people():
        for finding in findings:
            click.echo(f"{_SIGNS[finding.level]} {finding.name}: {finding.detail}")
            if finding.next_step:
                click.echo(f"     → {finding.next_step}")
    else:
        printing.facts_print({"ok": is_well}, parts={"findings": [asdict(finding) for finding in findings]})
    click.get_current_context().exit(exits.Exit.DONE if is_well else exits.Exit.FAILED)


def _findings(address: str | None) -> Iterator[Finding]:
    remote = doors.address()
    if remote is not None:
        yield from reaching.reach(remote.url, ca_file=remote.ca_file)
        yield _token()
        return
    doors.installation_ready()
    from cloud.cloudctl import examining

    yield from examining.examine()
    if address is not None:
        ca_file = click.get_current_context().find_root().params.get("ca_file")
        yield from reaching.reach(address, ca_file=ca_file)


def _token() -> Finding:
    try:
        mine = doors.door(None).ask("GET", "/me")
    except errors.RopewayError as error:
        step = "`cloudctl token create` where the database is, or an admin, mints another."
        return Finding(name="token", level=Level.FAIL, detail=error.detail, next_step=step)
    detail = f"{mine['name']} of {mine['organization']['slug']}, {len(mine['scopes'])} scopes"
    return Finding(name="token", level=Level.OK, detail=detail)
