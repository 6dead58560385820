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
from cloud.runs import feed, put_back, rows, snapshots
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
_MOVE = "UPDATE runs_eventcursor SET seq = %s, hash = %s, epoch = %s, moved_at = %s, put_back_at = NULL WHERE id = %s"


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
    before a claim, never gets here. A log that lacks what was taken in of it keeps its cursor, which nothing moves
    until the log is again the one that was taken in. Raises PreconditionFailed for an older link."""
    with scope.organization(organization_id), recorded("cursors_open"):
        _refuse_older_link(connector_id, epoch)
        shared = {location.id for location, _ in logs}
        known = EventCursor.objects.filter(location__instance__connector_id=connector_id)
        known.exclude(location_id__in=shared).delete()
        found = {(cursor.location_id, cursor.log_id): cursor for cursor in known.filter(location_id__in=shared)}
        new = [
            _cursor_new(location, advert, epoch)
            for location, advert in logs
            if (location.id, advert.log_id) not in found
        ]
        EventCursor.objects.bulk_create(new)
        found |= {(cursor.location_id, cursor.log_id): cursor for cursor in new}
        for location, advert in logs:
            cursor = found[location.id, advert.log_id]
            if put_back.is_put_back(cursor, advert, epoch=epoch):
                put_back.put_back_note(cursor_id=cursor.id, head_seq=advert.head_seq)
            elif cursor.seq == advert.head_seq and cursor.put_back_at is not None:
                EventCursor.objects.filter(id=cursor.id).update(put_back_at=None)
    return [(location, found[location.id, advert.log_id]) for location, advert in logs]


def _cursor_new(location: Location, advert: envelopes.RepositoryAdvert, epoch: int) -> EventCursor:
    """At the log's head; or where what is known of it ends, if that is not before."""
    known = (
        RunEvent.objects.filter(location_id=location.id, log_id=advert.log_id, seq__gte=advert.head_seq)
        .order_by("-seq")
        .values_list("seq", "record__hash")
        .first()
    )
    seq, digest = known or (advert.head_seq, advert.head_hash)
    return EventCursor(
        organization_id=location.organization_id,
        location_id=location.id,
        log_id=advert.log_id,
        seq=seq,
        hash=digest,
        # Of no link: what was taken in before is not this one's doing.
        epoch=epoch if known is None else 0,
        moved_at=datetime.now(UTC),
    )


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
    InvalidRequest for a chain that does not hold, and for one that goes on from something else than was taken in."""
    with scope.organization(organization_id), recorded("events_apply"):
        cursor = _cursor_lock(connector_id, epoch, repository_id, log_id)
        news = [record for record in records if record.seq > cursor.seq]
        if news and news[0].seq != cursor.seq + 1:
            return Applied(seq=cursor.seq, has_gap=True)
        if not news:
            return Applied(seq=cursor.seq, has_gap=False)
        last = news[-1]
        is_put_back = news[0].prev_hash != cursor.hash and events.is_linked(
            log_id=log_id, prev_hash=news[0].prev_hash, record=news[0]
        )
        if is_put_back:
            put_back.put_back_note(cursor_id=cursor.id, head_seq=last.seq)
        else:
            _check_chain(cursor, news)
            snapshots.snapshots_write(cursor.place, news)
            _feed_append(cursor, news)
            execute_later(_MOVE, [last.seq, last.hash, epoch, datetime.now(UTC), cursor.id])
    if is_put_back:
        # Only now: what was noted stays.
        raise errors.InvalidRequest("The log goes on from something else than was taken in.", log_id=log_id)
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
