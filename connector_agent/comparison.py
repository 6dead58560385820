"""Whether a log is still the one that the cloud took in: it has the event there, with the same hash.

A daemon's home that was put back to an older copy of itself can't tell that it was; what it told others before does.
Called by `event_tail`, shown by `ropeway-connector status` and `doctor`.
Tests: tests/integration/connector/test_put_back.py.
"""

from dataclasses import asdict, dataclass
from typing import Any

from connector_agent.daemon_client import DaemonClient
from local_daemon.protocol import envelopes, errors


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """A log that lacks what the cloud took in of it, up to `taken_in_seq`; it ends at `head_seq`."""

    repository_id: str
    log_id: str
    taken_in_seq: int
    head_seq: int

    def document(self) -> dict[str, Any]:
        """For the status file."""
        return {"code": "log_put_back", **asdict(self)}


def sentence(document: dict[str, Any]) -> str:
    """What a `PutBack` means, and what to do."""
    return (
        f"{document['repository_id']}: the cloud has taken in {document['taken_in_seq']} events of its log, which ends "
        f"at {document['head_seq']} here, or has others: the daemon's home was put back to an older copy. Nothing more "
        "of it reaches the cloud. Put the newer home back; if that is lost, stop the daemon and run `ropeway identity "
        "renew`: it goes on as another machine."
    )


async def log_compare(daemon: DaemonClient, follow: envelopes.Follow) -> PutBack | None:
    """None where the log is the one that was taken in. Raises ConnectorOffline, and PreconditionFailed where the
    daemon keeps another log by now."""
    if follow.after_hash is None or follow.after_seq == 0:
        return None
    page = await daemon.events_list(follow.repository_id, after_seq=follow.after_seq - 1, limit=1)
    if page.log_id != follow.log_id:
        raise errors.PreconditionFailed("the daemon keeps another log now")
    if page.items and page.items[0].hash == follow.after_hash:
        return None
    return PutBack(
        repository_id=follow.repository_id,
        log_id=follow.log_id,
        taken_in_seq=follow.after_seq,
        head_seq=page.head_seq,
    )
