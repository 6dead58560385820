"""Processes of two releases on one database: what a newer one tells is heard by the one that still runs."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from cloud.config import wiring
from cloud.dispatch import wake
from cloud.tenancy import revocations
from local_daemon.protocol import ids

CALL = ids.new_id(ids.IdPrefix.CALL)
CONNECTOR = str(ids.new_uuid7())


class Hearing:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None]] = []

    async def on_waiting(self, connector_id: str) -> None:
        self.heard.append(("waiting", connector_id))

    async def on_answered(self, call_id: str) -> None:
        self.heard.append(("answered", call_id))

    async def on_unsettled(self, *, connector_id: str | None = None, organization_id: str | None = None) -> None:
        self.heard.append(("unsettled", connector_id or organization_id))

    async def on_listening(self) -> None:
        self.heard.append(("listening", None))


def notified(channel: str, payload: str) -> psycopg.Notify:
    return psycopg.Notify(channel=channel, payload=payload, pid=0)


async def test_a_hint_with_more_parts_than_are_known_is_taken_by_those_that_are() -> None:
    hearing = Hearing()
    for channel, payload in (
        (wake.ANSWERS, f"{CALL}/more"),
        (wake.CHANNEL, f"{CONNECTOR}/more"),
        (revocations.CHANNEL, f"connector:{CONNECTOR}:more"),
        (revocations.CHANNEL, f"planet:{CONNECTOR}"),
        (revocations.CHANNEL, "connector:some other name"),
    ):
        await wake._hand_on(notified(channel, payload), hearing)
    assert hearing.heard == [("answered", CALL), ("waiting", CONNECTOR), ("unsettled", CONNECTOR)]


@pytest.mark.django_db(transaction=True)
def test_who_blocks_for_an_answer_hears_it_from_a_newer_release() -> None:
    with wake.answers_heard(wiring._conninfo()) as listener:
        with connection.cursor() as cursor:
            for payload in ("a word of its own", f"{ids.new_id(ids.IdPrefix.CALL)}/more", f"{CALL}/more"):
                cursor.execute("SELECT pg_notify(%s, %s)", [wake.ANSWERS, payload])
        assert listener.wait(CALL, until=datetime.now(UTC) + timedelta(seconds=30))
