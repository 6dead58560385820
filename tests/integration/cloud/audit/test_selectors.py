import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from cloud.audit import aggregation, seal, selectors
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent, AuditSeal, RollupPeriod
from cloud.audit.selectors import EventFilter
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Tell = Callable[..., UUID]


def targets(rows: list[AuditEvent]) -> list[str]:
    return [row.target_id for row in rows]


def test_a_page_begins_where_the_last_one_ended(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        told = sorted(tell(target_id=str(number)) for number in range(5))[::-1]
        asked = EventFilter(event_type="call:accepted")
        first = selectors.event_page(acme.id, limit=3, asked=asked)
        second = selectors.event_page(acme.id, limit=3, before=first[-1].id, asked=asked)
    assert ([row.id for row in first], [row.id for row in second]) == (told[:3], told[3:])


def test_events_are_found_by_who_what_where_when_and_how_it_went(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        before = datetime.now(UTC)
        wanted = tell(
            event_type=EventType.CALL_ANSWERED,
            target_id="here",
            call_id="call_1",
            outcome="error",
            project_id=acme.project.id,
        )
        tell(target_id="elsewhere")
        for asked in (
            EventFilter(event_type="call:answered"),
            EventFilter(actor_id=AuditEvent.objects.get(id=wanted).actor_id),
            EventFilter(target_id="here"),
            EventFilter(call_id="call_1"),
            EventFilter(failed_only=True),
            EventFilter(project_ids=[acme.project.id], event_type="call:answered"),
            EventFilter(
                since=before - timedelta(seconds=1), until=datetime.now(UTC) + timedelta(seconds=1), target_id="here"
            ),
        ):
            assert targets(selectors.event_page(acme.id, limit=10, asked=asked)) == ["here"]
        for asked in (EventFilter(until=before - timedelta(minutes=1)), EventFilter(project_ids=[])):
            assert selectors.event_page(acme.id, limit=10, asked=asked) == []


_MANY = """
    INSERT INTO audit_auditevent (id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind,
           target_id, call_id, outcome, details)
    SELECT gen_random_uuid(), %s, now(), 'call:sent', 'token', n, '', 'call', n, '', 'ok', '{}'
      FROM generate_series(1, 2000) n
"""


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (EventFilter(), "audit_event_page"),
        (EventFilter(event_type="call:accepted"), "audit_event_type"),
        (EventFilter(actor_id="a"), "audit_event_actor"),
        (EventFilter(target_id="a"), "audit_event_target"),
        (EventFilter(failed_only=True), "audit_event_not_ok"),
    ],
)
def test_every_filter_has_its_index(acme: Tenant, asked: EventFilter, index: str) -> None:
    with scope.organization(acme.id), connection.cursor() as cursor:
        # On an empty table a planner prefers to read it whole, and one index is as good as the other.
        cursor.execute(_MANY, [acme.id])
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        plan = selectors.events(acme.id, asked)[:50].explain()
    assert index in plan


def test_a_chart_shows_quiet_hours_too(acme: Tenant, tell: Tell) -> None:
    now = datetime.now(UTC)
    with scope.organization(acme.id):
        tell(event_type=EventType.CALL_ANSWERED)
        tell(event_type=EventType.CALL_ANSWERED, outcome="error")
        seal.organization_seal(acme.id)
        aggregation.rollups_aggregate(acme.id)
        points = selectors.rollup_chart(
            acme.id,
            period=RollupPeriod.HOUR,
            since=now - timedelta(hours=3),
            until=now + timedelta(seconds=1),
            event_types=["call:answered"],
        )
        totals = selectors.rollup_totals(acme.id, since=now, until=now + timedelta(days=1))
    assert [(point.ok, point.error) for point in points] == [(0, 0), (0, 0), (0, 0), (1, 1)]
    assert ("call:answered", "error", 1) in totals


def test_a_chart_has_its_limit(acme: Tenant) -> None:
    now = datetime.now(UTC)
    with scope.organization(acme.id), pytest.raises(ValueError, match="points"):
        selectors.rollup_chart(acme.id, period=RollupPeriod.HOUR, since=now - timedelta(days=60), until=now)


def test_who_waits_to_be_sealed_is_found_over_all_tenants(acme: Tenant, globex: Tenant) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    with scope.organization(globex.id):
        seal.organization_seal(globex.id)
    with scope.operator():
        assert selectors.organizations_unsealed(now=soon) == [acme.id]
        assert selectors.organizations_unsealed(now=soon - timedelta(minutes=1)) == []


def test_who_and_what_waits_is_looked_up_and_never_all_seals_read(acme: Tenant) -> None:
    """A join may be a hash of every seal there is, as soon as the tables' statistics are known."""
    with scope.organization(acme.id), connection.cursor() as cursor:
        for query, asked in (
            (selectors._UNSEALED, [UUID(int=0), UUID(int=1 << 127)]),
            (selectors._WAITING, [acme.id, 0]),
        ):
            cursor.execute(f"EXPLAIN {query}", asked)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "SubPlan" in plan
            assert "Anti Join" not in plan


def test_what_waits_is_counted_from_the_chains_head_on(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        state = selectors.chain_state(acme.id)
        assert (state.links, state.unsealed) == (0, AuditEvent.objects.count())
        assert state.oldest_unsealed_at == AuditEvent.objects.earliest("at").at
        sealed = seal.organization_seal_all(acme.id)
        event_id = tell()
        state = selectors.chain_state(acme.id)
        assert (state.links, state.unsealed) == (sealed, 1)
        assert state.oldest_unsealed_at == AuditEvent.objects.get(id=event_id).at
        seal.organization_seal_all(acme.id)
        state = selectors.chain_state(acme.id)
        assert (state.links, state.unsealed, state.oldest_unsealed_at) == (sealed + 1, 0, None)


_LINKS = """
    INSERT INTO audit_auditseal (id, organization_id, seq, event_id, event_hash, prev_hash, hash, horizon, sealed_at)
    SELECT gen_random_uuid(), %s, n, gen_random_uuid(), '', '', '', 0, %s::timestamptz + n / 4 * interval '1 second'
      FROM generate_series(%s, %s) n
"""


@pytest.mark.parametrize("first", [1, 30])
@pytest.mark.parametrize("last", [0, 33, 40])
def test_the_links_of_a_time_begin_with_the_first_that_was_sealed_in_it(acme: Tenant, first: int, last: int) -> None:
    """A pruned chain begins later than with its first link; several are sealed at once."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    with scope.organization(acme.id), connection.cursor() as cursor:
        cursor.execute(_LINKS, [acme.id, begin, first, last])
        links = list(AuditSeal.objects.order_by("seq").values_list("seq", "sealed_at"))
        for second in range(12):
            moment = begin + timedelta(seconds=second)
            since = [seq for seq, sealed_at in links if sealed_at >= moment]
            following = links[-1][0] + 1 if links else 1
            assert selectors.first_seq_since(acme.id, moment) == (since[0] if since else following)


@pytest.mark.django_db(transaction=True)
def test_a_link_is_of_the_time_it_was_sealed_at_however_early_its_event_began(acme: Tenant, tell: Tell) -> None:
    told, may_commit = threading.Event(), threading.Event()
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id)
    moment = datetime.now(UTC)

    def slow() -> None:
        with scope.organization(acme.id), transaction.atomic():
            tell(target_id="slow")
            told.set()
            assert may_commit.wait(60)
        connection.close()

    with ThreadPoolExecutor(1) as thread, scope.organization(acme.id):
        late = thread.submit(slow)
        assert told.wait(60)
        tell(target_id="quick")
        seal.organization_seal_all(acme.id)
        first = selectors.first_seq_since(acme.id, moment)
        may_commit.set()
        late.result()
        assert AuditSeal.objects.filter(seq__gte=first).count() == 1
        seal.organization_seal_all(acme.id)
        assert selectors.first_seq_since(acme.id, moment) == first
        assert AuditSeal.objects.filter(seq__gte=first).count() == 2


@pytest.mark.django_db
def test_the_first_link_of_a_time_is_looked_up_in_an_index(acme: Tenant) -> None:
    with scope.organization(acme.id), connection.cursor() as cursor:
        cursor.execute(_LINKS, [acme.id, datetime(2026, 3, 1, tzinfo=UTC), 1, 2047])
        asked = {"org": acme.id, "moment": datetime(2026, 3, 1, 0, 2, tzinfo=UTC)}
        cursor.execute(f"EXPLAIN ANALYZE {selectors._FIRST_SINCE}", asked)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    # The chain's ends, and a look for each time that 2,048 can be halved.
    assert re.findall(r"audit_seal_seq .*loops=(\d+)", plan) == ["1", "1", "11"]
    assert "Seq Scan" not in plan
