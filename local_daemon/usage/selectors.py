"""Reads of usage: sums over the attempts' own records, nothing is counted twice because nothing is counted apart.

An executor's report is the only source; what it does not say stays unknown. Called by operation handlers and the
scheduler.
Tests: tests/integration/daemon/test_budgets.py, tests/integration/daemon/test_lost_usage.py.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime

from local_daemon.protocol import ids
from local_daemon.protocol import usage as usage_messages
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.usage.records import Spent, SpentBy, SpentOn, Working

# `cost` and tokens are text within the attempt's record; a sum over no number is NULL, which is unknown and not zero.
_SUMS = """
    count(*) AS attempts,
    count(CASE WHEN started_at IS NOT NULL AND ended_at IS NOT NULL AND usage ->> 'output_tokens' IS NULL THEN 1 END)
        AS unreported,
    count(CASE WHEN usage ->> 'is_partial' THEN 1 END) AS partial,
    sum(usage ->> 'input_tokens') AS input_tokens,
    sum(usage ->> 'cached_input_tokens') AS cached_input_tokens,
    sum(usage ->> 'output_tokens') AS output_tokens,
    sum(usage ->> 'cost_usd') AS cost_usd,
    coalesce(sum(
        (julianday(coalesce(exited_at, ended_at, :now)) - julianday(started_at)) * 86400000
    ), 0) AS duration_ms
"""
_OF_STEP = "FROM attempts WHERE step_id = :step_id"
_OF_RUN = "FROM attempts WHERE run_id = :run_id"
_OF_REPOSITORY = "FROM attempts WHERE repository_id = :repository_id AND leased_at >= :since"
_AMONG = "FROM attempts WHERE position IN (SELECT value FROM json_each(:positions))"
# Of a run that was looked at before there are fewer new attempts, of whatever run, than attempts of its own.
_ALL = "SELECT position FROM attempts INDEXED BY attempts_by_run WHERE run_id = ? AND position > ?"
_NEWER = "SELECT position FROM attempts WHERE +run_id = ? AND position > ?"
_BY = " GROUP BY executor, usage ->> 'model' ORDER BY executor, usage ->> 'model'"
# Instants are kept as text of UTC, which begins with the day.
_DAY = "substr(leased_at, 1, 10)"
_BY_DAY = f" GROUP BY {_DAY} ORDER BY {_DAY}"


def step_spent(conn: Connection, step_id: str, *, now: datetime) -> Spent:
    """What all attempts of the step have used; one at work counts with its time so far."""
    return _spent(conn, _OF_STEP, {"step_id": step_id, "now": instants.instant_text(now)})


def run_spent(conn: Connection, run_id: str, *, now: datetime) -> Spent:
    """What all attempts of the run have used."""
    return _spent(conn, _OF_RUN, {"run_id": run_id, "now": instants.instant_text(now)})


def step_working(conn: Connection, step_id: str) -> tuple[Working, ...]:
    """The step's attempts at work."""
    return _working(conn, _OF_STEP, {"step_id": step_id})


def run_working(conn: Connection, run_id: str) -> tuple[Working, ...]:
    """The run's attempts at work."""
    return _working(conn, _OF_RUN, {"run_id": run_id})


def attempts_after(conn: Connection, run_id: str, position: int) -> list[int]:
    """The places in the record of the run's attempts that came after that place."""
    rows = conn.execute(_ALL if position == 0 else _NEWER, (run_id, position))
    return [row["position"] for row in rows]


def attempts_ended(conn: Connection, positions: Sequence[int]) -> frozenset[int]:
    """Those of the attempts that have ended: what they have used is all on record."""
    rows = conn.execute(f"SELECT position {_AMONG} AND ended_at IS NOT NULL", _positions(positions))
    return frozenset(row["position"] for row in rows)


def attempts_spent(conn: Connection, positions: Sequence[int], *, now: datetime) -> Spent:
    """What these attempts have used; those at work count with their time so far."""
    return _spent(conn, _AMONG, {**_positions(positions), "now": instants.instant_text(now)})


def attempts_working(conn: Connection, positions: Sequence[int]) -> tuple[Working, ...]:
    """Those of these attempts that are at work."""
    return _working(conn, _AMONG, _positions(positions))


def repository_spent(conn: Connection, repository_id: str, *, since: datetime, now: datetime) -> Spent:
    """What the repository's attempts since then have used."""
    return _spent(conn, _OF_REPOSITORY, _repository_values(repository_id, since=since, now=now))


def step_spent_by(conn: Connection, step_id: str, *, now: datetime) -> tuple[SpentBy, ...]:
    """The same for each executor and model."""
    return _spent_by(conn, _OF_STEP, {"step_id": step_id, "now": instants.instant_text(now)})


def run_spent_by(conn: Connection, run_id: str, *, now: datetime) -> tuple[SpentBy, ...]:
    """The same for each executor and model."""
    return _spent_by(conn, _OF_RUN, {"run_id": run_id, "now": instants.instant_text(now)})


def repository_spent_by(conn: Connection, repository_id: str, *, since: datetime, now: datetime) -> tuple[SpentBy, ...]:
    """The same for each executor and model."""
    return _spent_by(conn, _OF_REPOSITORY, _repository_values(repository_id, since=since, now=now))


def step_spent_on(conn: Connection, step_id: str, *, now: datetime) -> tuple[SpentOn, ...]:
    """The same for each day on which an attempt began."""
    return _spent_on(conn, _OF_STEP, {"step_id": step_id, "now": instants.instant_text(now)})


def run_spent_on(conn: Connection, run_id: str, *, now: datetime) -> tuple[SpentOn, ...]:
    """The same for each day on which an attempt began."""
    return _spent_on(conn, _OF_RUN, {"run_id": run_id, "now": instants.instant_text(now)})


def repository_spent_on(conn: Connection, repository_id: str, *, since: datetime, now: datetime) -> tuple[SpentOn, ...]:
    """The same for each day on which an attempt began."""
    return _spent_on(conn, _OF_REPOSITORY, _repository_values(repository_id, since=since, now=now))


def spent_view(spent: Spent) -> usage_messages.SpentView:
    """The sum as everybody sees it."""
    return usage_messages.SpentView(
        attempts=spent.attempts,
        unreported=spent.unreported,
        partial=spent.partial,
        input_tokens=spent.input_tokens,
        cached_input_tokens=spent.cached_input_tokens,
        output_tokens=spent.output_tokens,
        cost_usd=spent.cost_usd,
        duration_ms=spent.duration_ms,
    )


def _positions(positions: Sequence[int]) -> dict[str, str]:
    return {"positions": json.dumps(list(positions))}


def _repository_values(repository_id: str, *, since: datetime, now: datetime) -> dict[str, str]:
    return {
        "repository_id": repository_id,
        "since": instants.instant_text(since),
        "now": instants.instant_text(now),
    }


def _working(conn: Connection, source: str, values: dict[str, str]) -> tuple[Working, ...]:
    rows = conn.execute(
        f"SELECT attempt_id, exited_at IS NULL AS is_timed {source} AND started_at IS NOT NULL AND ended_at IS NULL",
        values,
    )
    return tuple(Working(attempt_id=ids.AttemptId(row["attempt_id"]), is_timed=bool(row["is_timed"])) for row in rows)


def _spent(conn: Connection, source: str, values: dict[str, str]) -> Spent:
    return _read(conn.execute(f"SELECT {_SUMS} {source}", values).fetchone())


def _spent_by(conn: Connection, source: str, values: dict[str, str]) -> tuple[SpentBy, ...]:
    rows = conn.execute(f"SELECT executor, usage ->> 'model' AS model, {_SUMS} {source} {_BY}", values)
    return tuple(SpentBy(executor=row["executor"], model=row["model"], spent=_read(row)) for row in rows)


def _spent_on(conn: Connection, source: str, values: dict[str, str]) -> tuple[SpentOn, ...]:
    rows = conn.execute(f"SELECT {_DAY} AS day, {_SUMS} {source} {_BY_DAY}", values)
    return tuple(SpentOn(day=date.fromisoformat(row["day"]), spent=_read(row)) for row in rows)


def _read(row: Row) -> Spent:
    return Spent(
        attempts=row["attempts"],
        unreported=row["unreported"],
        partial=row["partial"],
        input_tokens=row["input_tokens"],
        cached_input_tokens=row["cached_input_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=row["cost_usd"],
        duration_ms=max(0, round(row["duration_ms"])),
    )
