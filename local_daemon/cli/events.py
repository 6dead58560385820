"""`ropeway events`: the repository's log of events, as everybody else follows it.

Tests: tests/integration/daemon/test_cli_record.py.
"""

import click

from local_daemon.cli import options, progress, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import events as event_messages
from local_daemon.protocol import limits, messages


@click.command()
@click.option(
    "--after",
    "after_seq",
    type=click.IntRange(0, limits.SEQ_MAX),
    metavar="SEQ",
    help="Those after this one, oldest first (default: the newest).",
)
@click.option(
    "--limit",
    type=click.IntRange(1, limits.PAGE_ITEMS_MAX),
    default=limits.PAGE_ITEMS_DEFAULT,
    show_default=True,
    help="At most so many.",
)
@click.option("--follow", is_flag=True, help="Stay, and print what comes.")
@values.repository_option
@options.json_option
@options.with_daemon()
def events(
    client: DaemonClient, *, after_seq: int | None, limit: int, follow: bool, repository: str | None, as_json: bool
) -> None:
    """Show the repository's log of events, and with --follow what comes."""
    if follow and as_json:
        raise click.UsageError("--follow goes without --json.")
    place = {"repository_id": options.repository_choose(client, repository)}
    if after_seq is None:
        after_seq = max(0, progress.head_seq(client, place) - limit)
    query = {"after_seq": after_seq, "limit": limit}
    page = client.call("events.list", messages.EventPage, parameters=place, query=query)
    is_more = bool(page.items) and page.items[-1].seq < page.head_seq and not follow
    more = [f"more of them: --after {page.items[-1].seq}"] if is_more else []
    options.show(page, as_json=as_json, lines=[*map(_line, page.items), *more])
    if follow:
        seen = page.items[-1].seq if page.items else after_seq
        for record in client.events_follow(place["repository_id"], after_seq=seen):
            options.tell([_line(record)])


def _line(record: event_messages.EventRecord) -> str:
    about = record.step_id or record.run_id or ""
    said = progress.event_line(record) or _state(record)
    return f"{record.seq}  {record.at:%Y-%m-%d %H:%M:%S}  {record.type:<19}  {about}  {said}".rstrip()


def _state(record: event_messages.EventRecord) -> str:
    """What it says beside its type, of an event that a person who waits is not told of."""
    view = record.data.get(record.type.partition(".")[0])
    if not isinstance(view, dict):
        return ""
    return " ".join(str(view[name]) for name in ("name", "state") if view.get(name))
