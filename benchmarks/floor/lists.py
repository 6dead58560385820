"""The admin's long lists in a process of its own, by turns with their floor; prints milliseconds as one JSON object.

    python -m benchmarks.floor.lists EMAIL OWNER_URL RUNS EVENTS ROUNDS

A page is asked for as a browser asks (session, middleware, list, template), without a socket. The floor fetches the
rows that it shows by one statement, as the tables' owner: no ORM, no filter, nothing counted and nothing drawn.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import django

django.setup()

import psycopg  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from cloud.accounts.models import User  # noqa: E402
from cloud.connectors.models import Connector, Instance, Location  # noqa: E402
from cloud.tenancy import scope  # noqa: E402
from cloud.tenancy.models import Membership, Project  # noqa: E402

# Two seconds apart, with ids that begin with their time, as they have them from life; a rare word is in ten of them.
_EVENTS = """
    INSERT INTO audit_auditevent (id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind,
                                  target_id, call_id, outcome, details)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid, %(org)s,
           at, CASE WHEN n %% 99999 = 0 THEN 'gate:decided' ELSE 'call:answered' END, 'token', '',
           'planner ' || n %% 50, 'location', 'target ' || n %% 1000, 'call_' || lpad(n::text, 26, '0'),
           CASE WHEN n %% 20 = 0 THEN 'error' ELSE 'ok' END, '{"operation": "runs.get", "status": 200}'
      FROM (SELECT n, now() - (%(count)s - n) * interval '2 seconds' AS at FROM generate_series(1, %(count)s) n) moments
"""
_SEALS = """
    INSERT INTO audit_auditseal (id, organization_id, seq, event_id, event_hash, prev_hash, hash, horizon, sealed_at)
    SELECT id, organization_id, row_number() OVER (ORDER BY id), id, decode(md5(id::text), 'hex'), '', '', 0, at
      FROM audit_auditevent WHERE event_type IN ('call:answered', 'gate:decided')
"""
_RUNS = """
    INSERT INTO runs_runsnapshot (id, organization_id, project_id, location_id, run_id, as_of, seq, view, state, title)
    SELECT gen_random_uuid(), %(org)s, %(project)s, %(location)s, 'run_' || lpad(n::text, 26, '0'),
           now() - (%(count)s - n) * interval '1 minute', n, '{"step_counts": {"completed": 3}}',
           (ARRAY['completed', 'failed', 'running', 'waiting'])[1 + n %% 4], 'run number ' || n
      FROM generate_series(1, %(count)s) n
"""
_FILLED = ("audit_auditevent", "audit_auditseal", "runs_runsnapshot")
_WARM_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A list as somebody asks for it, and the rows that it shows, by hand."""

    page: str
    asked: dict[str, str]
    rows: str


def questions(runs: int) -> dict[str, Question]:
    """What people look at, by name."""
    run_rows = "SELECT * FROM runs_runsnapshot WHERE organization_id = %s"
    event_rows = "SELECT * FROM audit_auditevent WHERE organization_id = %s"
    seal_rows = "SELECT * FROM audit_auditseal WHERE organization_id = %s"
    newest_run, newest, last_page = "ORDER BY run_id DESC LIMIT 50", "ORDER BY id DESC LIMIT 50", {"p": "200"}
    one_run = "run_" + str(runs // 2).rjust(26, "0")
    found = {
        "runs": ("runs_runsnapshot", {}, f"{run_rows} {newest_run}"),
        "runs, the failed": (
            "runs_runsnapshot", {"state__exact": "failed"}, f"{run_rows} AND state = 'failed' {newest_run}",
        ),
        "runs, one by its id": ("runs_runsnapshot", {"q": one_run}, f"{run_rows} AND run_id = '{one_run}'"),
        "runs, by words": (
            "runs_runsnapshot", {"q": "number 777"}, f"{run_rows} AND title ILIKE '%%number 777%%' {newest_run}",
        ),
        "runs, the last page": ("runs_runsnapshot", last_page, f"{run_rows} {newest_run} OFFSET 9950"),
        "audit": ("audit_auditevent", {}, f"{event_rows} {newest}"),
        "audit, a rare word at any time": (
            "audit_auditevent", {"event_type": "gate:decided", "period": "any"},
            f"{event_rows} AND event_type = 'gate:decided' {newest}",
        ),
        "audit, what failed": (
            "audit_auditevent", {"outcome__exact": "error"}, f"{event_rows} AND outcome = 'error' {newest}",
        ),
        "audit, the last page": ("audit_auditevent", last_page, f"{event_rows} {newest} OFFSET 9950"),
        "links of the chain, last day": (
            "audit_auditseal", {"period": "1"}, f"{seal_rows} ORDER BY seq DESC LIMIT 50",
        ),
    }  # fmt: skip
    return {name: Question(page=page, asked=asked, rows=rows) for name, (page, asked, rows) in found.items()}


def fill(owner_url: str, member: Membership, *, runs: int, events: int) -> None:
    """A year of somebody's work, as far as lists show it."""
    with scope.organization(member.organization_id), connection.cursor() as cursor:
        project = Project.objects.get()
        facts = {"organization_id": member.organization_id, "last_advertised_at": timezone.now()}
        machine = Connector.objects.create(organization_id=member.organization_id, label="bench", public_key=b"k" * 32)
        daemon = Instance.objects.create(**facts, connector=machine, instance_id="inst_bench")
        place = Location.objects.create(**facts, project=project, instance=daemon, repository_id="repo_bench")
        named = {"org": member.organization_id, "project": project.id, "location": place.id}
        cursor.execute(_EVENTS, {**named, "count": events})
        cursor.execute(_SEALS)
        cursor.execute(_RUNS, {**named, "count": runs})
    # What a server does by itself, and only the tables' owner may ask for.
    with psycopg.connect(owner_url, autocommit=True) as upkeep:
        for table in _FILLED:
            upkeep.execute(f"VACUUM ANALYZE {table}")


def measure(owner_url: str, member: Membership, *, runs: int, rounds: int) -> dict[str, Any]:
    """By turns, after a warm-up: each page, of it its statements, and its floor."""
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(member.user)
    found: dict[str, Any] = {}
    with psycopg.connect(owner_url, autocommit=True) as bare:
        bare.execute("SELECT set_config('app.organization_id', %s, false)", [str(member.organization_id)])
        for name, question in questions(runs).items():
            rows = [_round(browser, bare, question, member.organization_id) for _ in range(rounds + _WARM_ROUNDS)]
            page, database, queries, floor = (list(column) for column in zip(*rows[_WARM_ROUNDS:], strict=True))
            found[name] = {"page": page, "database": database, "queries": max(queries), "floor": floor}
    return found


class Watch:
    """How many statements were executed meanwhile, and how long they took."""

    def __init__(self) -> None:
        self.count = 0
        self.spent_ms = 0.0

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> Any:
        """Execute one."""
        start = time.perf_counter()
        try:
            return execute(*statement)
        finally:
            self.count += 1
            self.spent_ms += (time.perf_counter() - start) * 1000


def _round(
    browser: Client, bare: psycopg.Connection, question: Question, organization_id: UUID
) -> tuple[float, float, int, float]:
    """The page's milliseconds, its statements', how many those were, and the floor's milliseconds."""
    watch, start = Watch(), time.perf_counter()
    with connection.execute_wrapper(watch):
        answer = browser.get(reverse(f"admin:{question.page}_changelist"), question.asked)
    spent_ms = (time.perf_counter() - start) * 1000
    assert answer.status_code == 200, f"{question} is answered {answer.status_code}"
    return spent_ms, watch.spent_ms, watch.count, _bare(bare, question, organization_id)


def _bare(bare: psycopg.Connection, question: Question, organization_id: UUID) -> float:
    start = time.perf_counter()
    bare.execute(question.rows, [organization_id]).fetchall()
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Fill, measure, and tell."""
    email, owner_url, runs, events, rounds = sys.argv[1:]
    user = User.objects.get(email=email)
    with scope.operator():
        member = Membership.objects.select_related("user").get(user=user)
    fill(owner_url, member, runs=int(runs), events=int(events))
    print(json.dumps(measure(owner_url, member, runs=int(runs), rounds=int(rounds))))


if __name__ == "__main__":
    main()
