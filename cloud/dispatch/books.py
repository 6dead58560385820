"""What the relay asks of the cloud's records, in its terms: the relay's LinkBook, CallBook and EventSink.

Translation only: each method is one hop into a database thread and one service. Given to the relay by the wiring.
Tests: tests/integration/cloud/relay/.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from django.db import DataError

from cloud.connectors import links, refusals, services
from cloud.dispatch import progress, selectors, wake
from cloud.metrics import registry
from cloud.runs import services as runs
from cloud.tenancy.threads import in_database_thread
from local_daemon.protocol import envelopes, errors, events
from relay import ports
from relay.calls import Answer, Call


class CloudLinkBook:
    """Connectors and their links."""

    async def identify(self, connector_id: str) -> bytes:
        """The connector's public key."""
        return await in_database_thread(links.link_identify, _uuid(connector_id))

    async def refused(self, connector_id: str, *, remote_address: str | None) -> None:
        """Tell the audit of the organization whose connector was named."""
        with contextlib.suppress(errors.NotFound):
            await in_database_thread(refusals.link_refused, _uuid(connector_id), remote_address=remote_address)

    async def open(self, connector_id: str, *, remote_address: str | None) -> ports.LinkGrant:
        """Make a connection of this process the connector's live link."""
        opened = await in_database_thread(
            links.link_open,
            connector_id=_uuid(connector_id),
            link_owner=wake.PROCESS,
            link_channel=wake.CHANNEL,
            remote_address=remote_address,
        )
        return ports.LinkGrant(
            connector_id=str(opened.connector_id),
            organization_id=str(opened.organization_id),
            label=opened.label,
            epoch=opened.epoch,
        )

    async def heartbeat(self, grant: ports.LinkGrant) -> bool:
        """Note that the link lives."""
        return await in_database_thread(links.link_heartbeat, _uuid(grant.connector_id), grant.epoch)

    async def close(self, grant: ports.LinkGrant) -> None:
        """Note that the link ended, and take back what it had."""
        await in_database_thread(_close, grant)

    async def advertise(self, grant: ports.LinkGrant, advertised: envelopes.Advertise) -> Sequence[ports.LogPosition]:
        """Record what is shared and from where each log is wanted."""
        with _refusing_what_cannot_be_kept():
            return await in_database_thread(_advertise, grant, advertised)


def _close(grant: ports.LinkGrant) -> None:
    links.link_close(_uuid(grant.connector_id), grant.epoch)
    progress.calls_link_lost(organization_id=grant.organization_id, connector_id=grant.connector_id, epoch=grant.epoch)


def _advertise(grant: ports.LinkGrant, advertised: envelopes.Advertise) -> list[ports.LogPosition]:
    shared = services.advertise_apply(connector_id=_uuid(grant.connector_id), epoch=grant.epoch, advertised=advertised)
    offered = {advert.repository_id: advert for advert in advertised.repositories}
    cursors = runs.cursors_open(
        organization_id=grant.organization_id,
        connector_id=grant.connector_id,
        epoch=grant.epoch,
        logs=[(location, offered[location.repository_id]) for location in shared],
    )
    return [
        ports.LogPosition(
            repository_id=location.repository_id, log_id=cursor.log_id, after_seq=cursor.seq, after_hash=cursor.hash
        )
        for location, cursor in cursors
    ]


class CloudCallBook:
    """Calls on record."""

    async def take(self, grant: ports.LinkGrant, *, limit: int) -> Sequence[Call]:
        """Record waiting calls as sent over this link, and hand them over."""
        return await in_database_thread(
            progress.calls_take,
            organization_id=grant.organization_id,
            connector_id=grant.connector_id,
            epoch=grant.epoch,
            limit=limit,
        )

    async def waiting(self, connector_ids: Collection[str]) -> Collection[str]:
        """Which of these connectors have calls that wait."""
        return await in_database_thread(progress.connectors_waiting, list(connector_ids))

    async def answer(self, grant: ports.LinkGrant, call_id: str, answer: Answer) -> bool:
        """Record a machine's answer; False if it is none to record."""
        return await in_database_thread(
            progress.call_answer,
            organization_id=grant.organization_id,
            connector_id=grant.connector_id,
            call_id=call_id,
            answer=answer,
        )

    async def find_answer(self, call_id: str) -> Answer | None:
        """What came of a call; None while it is open."""
        return await in_database_thread(selectors.answer_find, call_id)

    async def sweep(self) -> datetime | None:
        """End what is due; put offline what fell silent; when the next call is due."""
        return await in_database_thread(_sweep)


def _sweep() -> datetime | None:
    for connector in selectors.connectors_silent(datetime.now(UTC)):
        if links.link_close(connector.id, connector.link_epoch):
            progress.calls_link_lost(
                organization_id=str(connector.organization_id),
                connector_id=str(connector.id),
                epoch=connector.link_epoch,
            )
    return progress.calls_sweep()


class CloudEventSink:
    """The feed and the snapshots."""

    async def apply(
        self,
        grant: ports.LinkGrant,
        *,
        repository_id: str,
        log_id: str,
        records: Sequence[events.EventRecord],
    ) -> ports.Applied:
        """Take in a batch of a machine's events."""
        with _refusing_what_cannot_be_kept():
            applied = await in_database_thread(
                runs.events_apply,
                organization_id=grant.organization_id,
                connector_id=grant.connector_id,
                epoch=grant.epoch,
                repository_id=repository_id,
                log_id=log_id,
                records=records,
            )
        registry.EVENTS.inc(0 if applied.has_gap else len(records))
        return ports.Applied(seq=applied.seq, has_gap=applied.has_gap)


@contextmanager
def _refusing_what_cannot_be_kept() -> Iterator[None]:
    """A machine says what it likes: a NUL, a name too long, a time beyond time."""
    try:
        yield
    except DataError as error:
        raise errors.InvalidRequest("What was sent cannot be kept.") from error


def _uuid(connector_id: str) -> UUID:
    try:
        return UUID(connector_id)
    except ValueError:
        raise errors.NotFound from None
