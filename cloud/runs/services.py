"""Taking in what machines tell: the cursor, the feed and the snapshots move in one commit.

A batch is applied wholly or not at all, under the row of its log's cursor: an older link is refused, a gap is asked for
again, what is known already is passed over, and the chain is checked. Blocking: called in database threads with no
tenant scope open. Tests: tests/integration/cloud/runs/test_services.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import connection

from cloud.connectors.models import Connector, Location
from cloud.runs import feed, rows, snapshots
from cloud.runs.models import EventCursor, RunEvent
from cloud.runs.snapshots import Place
from cloud.tenancy import scope
from cloud.tenancy.transaction import execute_later, recorded
from local_daemon.protocol import envelopes, errors, events

# On the path of every event, and two round trips whatever the batch: this, and the commit with everything in it.
# Shared: two logs of one connector are taken in side by side, but no newer link opens meanwhile.
_LOCK = """
    SELECT e.id, e.organization_id, l.project_id, e.location_id, e.seq, e.hash
      FROM connectors_connector c
      JOIN connectors_instance i ON i.connector_id = c.id
      JOIN connectors_location l ON l.instance_id = i.id
      JOIN runs_eventcursor e ON e.location_id = l.id
     WHERE c.id = %s AND c.link_epoch = %s AND l.repository_id = %s AND e.log_id = %s
       FOR UPDATE OF e FOR SHARE OF c
"""
_MOVE = "UPDATE runs_eventcursor SET seq = %s, hash = %s, epoch = %s, moved_at = %s WHERE id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cursor:
    """How far a log was taken in, and where it is."""

    id: UUID
    place: Place
    log_id: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """Everything up to `seq` is durable; with a gap, what came must come again from there."""

    seq: int
    has_gap: bool


def cursors_open(
    *,
    organization_id: str,
    connector_id: str,
    epoch: int,
    logs: Sequence[tuple[Location, envelopes.RepositoryAdvert]],
) -> list[tuple[Location, EventCursor]]:
    """The cursor of every log that a connector shares now; a new share starts at the log's head.

    What is not shared any more loses its cursor, so that sharing it anew starts anew, and what happened in between, or
    before a claim, never gets here. Raises PreconditionFailed for an older link."""
    now = datetime.now(UTC)
    with scope.organization(organization_id), recorded("cursors_open"):
        _refuse_older_link(connector_id, epoch)
        shared = {location.id for location, _ in logs}
        known = EventCursor.objects.filter(location__instance__connector_id=connector_id)
        known.exclude(location_id__in=shared).delete()
        EventCursor.objects.bulk_create(
            [
                EventCursor(
                    organization_id=organization_id,
                    location_id=location.id,
                    log_id=advert.log_id,
                    seq=advert.head_seq,
                    hash=advert.head_hash,
                    epoch=epoch,
                    moved_at=now,
                )
                for location, advert in logs
            ],
            ignore_conflicts=True,
        )
        found = {(cursor.location_id, cursor.log_id): cursor for cursor in known.filter(location_id__in=shared)}
    return [(location, found[location.id, advert.log_id]) for location, advert in logs]


def events_apply(
    *,
    organization_id: str,
    connector_id: str,
    epoch: int,
    repository_id: str,
    log_id: str,
    records: Sequence[events.EventRecord],
) -> Applied:
    """Take in a batch. Raises PreconditionFailed for an older link, NotFound for a log that is not followed,
    InvalidRequest for a chain that does not hold."""
    with scope.organization(organization_id), recorded("events_apply"):
        cursor = _cursor_lock(connector_id, epoch, repository_id, log_id)
        news = [record for record in records if record.seq > cursor.seq]
        if news and news[0].seq != cursor.seq + 1:
            return Applied(seq=cursor.seq, has_gap=True)
        if not news:
            return Applied(seq=cursor.seq, has_gap=False)
        _check_chain(cursor, news)
        snapshots.snapshots_write(cursor.place, news)
        _feed_append(cursor, news)
        last = news[-1]
        execute_later(_MOVE, [last.seq, last.hash, epoch, datetime.now(UTC), cursor.id])
    return Applied(seq=last.seq, has_gap=False)


def _cursor_lock(connector_id: str, epoch: int, repository_id: str, log_id: str) -> _Cursor:
    with connection.cursor() as asking:
        asking.execute(_LOCK, [connector_id, epoch, repository_id, log_id])
        found = asking.fetchone()
    if found is None:
        _refuse_older_link(connector_id, epoch)
        raise errors.NotFound("This log is not followed.", log_id=log_id)
    cursor_id, organization_id, project_id, location_id, seq, head = found
    place = Place(organization_id=organization_id, project_id=project_id, location_id=location_id)
    return _Cursor(id=cursor_id, place=place, log_id=log_id, seq=seq, hash=head)


def _refuse_older_link(connector_id: str, epoch: int) -> None:
    # Shared: two logs of one connector are taken in side by side, but no newer link opens meanwhile.
    if not Connector.objects.raw(
        "SELECT id FROM connectors_connector WHERE id = %s AND link_epoch = %s FOR SHARE", [connector_id, epoch]
    ):
        raise errors.PreconditionFailed("A newer link of this connector speaks now.")


def _check_chain(cursor: _Cursor, news: Sequence[events.EventRecord]) -> None:
    seq, prev_hash = cursor.seq, cursor.hash
    for record in news:
        if record.seq != seq + 1 or not events.is_linked(log_id=cursor.log_id, prev_hash=prev_hash, record=record):
            raise errors.InvalidRequest("The log's chain does not hold.", log_id=cursor.log_id, seq=record.seq)
        seq, prev_hash = record.seq, record.hash


def _feed_append(cursor: _Cursor, news: Sequence[events.EventRecord]) -> None:
    place, organization_id = cursor.place, str(cursor.place.organization_id)
    # Held until the commit: ids of one organization's feed become visible in their order.
    execute_later("SELECT pg_advisory_xact_lock(hashtextextended('feed:' || %s, 0))", [organization_id])
    rows.rows_insert(
        RunEvent,
        (
            {
                "organization_id": place.organization_id,
                "project_id": place.project_id,
                "location_id": place.location_id,
                "log_id": cursor.log_id,
                "seq": record.seq,
                "event_type": record.type[:40],
                "at": record.at,
                "run_id": record.run_id or "",
                "step_id": record.step_id or "",
                "call_id": record.call_id or "",
                "record": snapshots.storable(record.model_dump(mode="json")),
            }
            for record in news
        ),
    )
    run_ids = (record.run_id for record in news)
    feed.growth_tell(
        feed.growth_of(organization_id=place.organization_id, project_id=place.project_id, run_ids=run_ids)
    )
