"""What the cloud's database server gives: rows of the audit's shape, one a commit, on the server that calls are on.

No figure of ours but a floor for context: each call commits twice, each commit with an audit row in it.
Called by `benchmarks/__main__.py`.
"""

import threading
import time
from pathlib import Path
from uuid import uuid4

import psycopg

from benchmarks.figures import Figure, Report
from benchmarks.screen import Screen
from deploy.stack.local import LocalStack

GROUP = "The database server, for context"
SECONDS = 2.0
CONNECTIONS = (1, 8)
_TABLE = """CREATE TABLE benchmark_audit (
    id uuid PRIMARY KEY, organization_id uuid, at timestamptz, event_type text, actor_kind text, actor_id text,
    actor_label text, target_kind text, target_id text, project_id uuid, call_id text, outcome text, details jsonb)"""
_ROW = """INSERT INTO benchmark_audit VALUES (%s, %s, now(), 'call:answered', 'token', %s, 'planner', 'location',
    %s, %s, %s, 'ok', '{"operation": "runs.get", "status": 200}')"""


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Commits a second, over one connection and over eight."""
    stack = LocalStack(root)
    try:
        with screen.doing("database: one audit row a commit"):
            url = stack.postgres.ensure_database("benchmark").owner
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_TABLE)
            for count in CONNECTIONS:
                rate = _rate(url, count)
                report.keep(f"audit rows/s over {count}", [rate])
                report.figures.append(
                    Figure(
                        group=GROUP,
                        name=f"one audit row a commit, {count} at once",
                        unit="/s",
                        value=rate,
                        is_rate=True,
                    )
                )
    finally:
        stack.postgres.stop()


def _rate(url: str, count: int) -> float:
    done: list[int] = []
    ends_at = time.perf_counter() + SECONDS

    def insert() -> None:
        rows = 0
        with psycopg.connect(url, autocommit=True) as connection:
            while time.perf_counter() < ends_at:
                one = uuid4()
                connection.execute(_ROW, [one, one, str(one), str(one), one, str(one)])
                rows += 1
        done.append(rows)

    threads = [threading.Thread(target=insert) for _ in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)
