"""Lists of 100,000 runs, a million audit events, and a thousand schedules with 100,000 times answer at once.

Takes a minute to fill; `make test-long` runs it."""

import sys
import time

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cloud.config import database_url
from cloud.console import lists
from cloud.tenancy import scope
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.tenants import Tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

RUNS, EVENTS, SCHEDULES, TIMES = 100_000, 1_000_000, 1_000, 100
SLOW_S = 0.5
TURNS = 5

_RUNS = """
    INSERT INTO runs_runsnapshot (id, organization_id, project_id, location_id, run_id, as_of, seq, view, state, title)
    SELECT gen_random_uuid(), r.organization_id, r.project_id, r.location_id, 'run_' || lpad(n::text, 26, '0'),
           now() - n * interval '1 minute', n, '{"step_counts": {"completed": 3}}',
           (ARRAY['completed', 'failed', 'running', 'waiting'])[1 + n %% 4], 'run number ' || n
      FROM runs_runsnapshot r, generate_series(1, %s) n WHERE r.organization_id = %s
"""
# Of two organizations, the small one's events lie among the big one's, with ids that begin with their time, as they
# have them from life; a rare word is in one of 100,000.
_EVENTS = """
    INSERT INTO audit_auditevent (id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind,
                                  target_id, call_id, outcome, details)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid,
           CASE WHEN n %% 100 = 0 THEN %s ELSE %s END::uuid, at,
           CASE WHEN n %% 99999 = 0 THEN 'gate:decided' ELSE 'call:answered' END,
           'token', '', 'planner ' || n %% 50, 'location', 'target ' || n %% 1000,
           'call_' || lpad(n::text, 26, '0'), CASE WHEN n %% 20 = 0 THEN 'error' ELSE 'ok' END, '{}'
      FROM (SELECT n, now() - n * interval '2 seconds' AS at FROM generate_series(1, %s) n) moments
"""
_SCHEDULES = """
    INSERT INTO schedules_runschedule (id, organization_id, project_id, made_by, name, objective, tasks, location, cron,
                                       time_zone, when_away, status, next_due_at, version, created_at)
    SELECT gen_random_uuid(), r.organization_id, r.project_id, 'somebody', 'schedule ' || n, 'upkeep', '[]', '',
           '0 6 * * *', 'UTC', 'skip', 'active', now(), 1, now()
      FROM runs_runsnapshot r, generate_series(1, %s) n WHERE r.organization_id = %s AND r.run_id = %s
"""
_TIMES = """
    INSERT INTO schedules_runfiring (id, organization_id, schedule_id, due_at, state, tries, run_id, code)
    SELECT gen_random_uuid(), s.organization_id, s.id, now() - n * interval '1 day',
           CASE WHEN n = 99 THEN 'failed' ELSE 'started' END, 1, '', ''
      FROM schedules_runschedule s, generate_series(1, %s) n WHERE s.organization_id = %s
"""


@pytest.fixture
def filled(acme: Tenant, globex: Tenant, sign_in: SignIn) -> dict[str, Client]:
    browsers = {"the big one's owner": sign_in(acme), "the small one's owner": sign_in(globex)}
    everything_make(acme)
    with scope.operator(), connection.cursor() as cursor:
        cursor.execute(_RUNS, [RUNS, acme.id])
        cursor.execute(_EVENTS, [globex.id, acme.id, EVENTS])
        cursor.execute(_SCHEDULES, [SCHEDULES, acme.id, "run_" + "1".rjust(26, "0")])
        cursor.execute(_TIMES, [TIMES, acme.id])
    # What a server does by itself, and only the tables' owner may ask for.
    owner = database_url.url_from_database({**settings.DATABASES["owner"], "OPTIONS": {}})
    with psycopg.connect(owner, autocommit=True) as upkeep:
        for table in ("runs_runsnapshot", "audit_auditevent", "schedules_runschedule", "schedules_runfiring"):
            upkeep.execute(f"VACUUM ANALYZE {table}")
    return {**browsers, "an operator": sign_in()}


QUESTIONS = {
    "runs": ("runs_runsnapshot", {}),
    "runs, failed": ("runs_runsnapshot", {"state__exact": "failed"}),
    "runs, by id": ("runs_runsnapshot", {"q": "run_" + "4711".rjust(26, "0")}),
    "runs, by words": ("runs_runsnapshot", {"q": "number 99999"}),
    "runs, last page": ("runs_runsnapshot", {"p": str(lists.COUNTED_MAX // 50)}),
    "audit": ("audit_auditevent", {}),
    "audit, any time": ("audit_auditevent", {"period": "any"}),
    "audit, a rare word": ("audit_auditevent", {"event_type": "gate:decided", "period": "any"}),
    "audit, errors": ("audit_auditevent", {"outcome__exact": "error"}),
    "audit, by call": ("audit_auditevent", {"q": "call_" + "4700".rjust(26, "0"), "period": "any"}),
    "schedules": ("schedules_runschedule", {}),
    "schedules, by words": ("schedules_runschedule", {"q": "schedule 99"}),
    "schedules, last page": ("schedules_runschedule", {"p": str(SCHEDULES // 50)}),
    "times": ("schedules_runfiring", {}),
    "times, failed": ("schedules_runfiring", {"state__exact": "failed"}),
    "times, by words": ("schedules_runfiring", {"q": "schedule 999"}),
    "audit, last page": ("audit_auditevent", {"p": str(lists.COUNTED_MAX // 50)}),
}


def test_a_long_list_costs_the_database_what_its_page_costs(filled: dict[str, Client]) -> None:
    """The database's own time: what the page takes besides is drawing fifty rows, however many there are."""
    measured = []
    for who, browser in filled.items():
        for question, (name, asked) in QUESTIONS.items():
            turns = []
            for _ in range(TURNS):
                begun_at = time.perf_counter()
                with CaptureQueriesContext(connection) as seen:
                    page = browser.get(reverse(f"admin:{name}_changelist"), asked)
                whole_s = time.perf_counter() - begun_at
                assert page.status_code in {200, 302}
                turns.append((sum(float(query["time"]) for query in seen.captured_queries), whole_s, len(seen)))
            measured.append((min(turns), who, question))
    for (database_s, whole_s, queries), who, question in sorted(measured, reverse=True):
        shown = f"{database_s * 1000:6.0f} ms database {whole_s * 1000:6.0f} ms page {queries:3.0f} queries"
        sys.stdout.write(f"{shown}  {who}: {question}\n")
    assert max(measured)[0][0] < SLOW_S
