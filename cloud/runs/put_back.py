"""A machine's log that lacks what was taken in of it: its daemon's home was put back to an older copy.

Numbers of events then mean two things. Nothing of such a log is taken in; who watches the audit learns of it, once.
Called by `services` in its transactions. Tests: tests/integration/cloud/runs/test_put_back.py.
"""

from datetime import UTC, datetime
from uuid import UUID

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.connectors.actors import ConnectorActor
from cloud.runs.models import EventCursor
from local_daemon.protocol import envelopes


def is_put_back(cursor: EventCursor, advert: envelopes.RepositoryAdvert, *, epoch: int) -> bool:
    """Whether the log that is offered can't be the one that was taken in."""
    if advert.head_seq == cursor.seq:
        return advert.head_hash != cursor.hash
    # What this very link moved may have gone past an offer that was on its way.
    return advert.head_seq < cursor.seq and cursor.epoch < epoch


def put_back_note(*, cursor_id: UUID, head_seq: int) -> None:
    """Note it with the cursor and tell the audit, if that is news. `head_seq` is where the log ends now."""
    now = datetime.now(UTC)
    if not EventCursor.objects.filter(id=cursor_id, put_back_at=None).update(put_back_at=now):
        return
    cursor = EventCursor.objects.select_related("location__instance__connector").get(id=cursor_id)
    location = cursor.location
    audit.event_record(
        event_type=EventType.LOG_PUT_BACK,
        principal=ConnectorActor.of(location.instance.connector),
        target_kind="location",
        target_id=location.id,
        project_id=location.project_id,
        details={
            "repository_id": location.repository_id,
            "label": location.repository_label,
            "log_id": cursor.log_id,
            "taken_in_seq": cursor.seq,
            "head_seq": head_seq,
        },
    )
