"""Reads of usage: sums over the attempts' own records, nothing is counted twice because nothing is counted apart.

An executor's report is the only source; what it does not say stays unknown. Called by operation handlers and the
scheduler.
Tests: tests/integration/daemon/test_budgets.py, tests/integration/daemon/test_lost_usage.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
# Of a run that was looked at before there are fewer new attempts, of whatever run, than attempts of its own.
_ALL = "SELECT position FROM attempts INDEXED BY attempts_by_run WHERE run_id = ? AND position > ?"
_NEWER = "SELECT position FROM attempts WHERE +run_id = ? AND position > ?"
_BY = " GROUP BY executor, usage ->> 'model' ORDER BY executor, usage ->> 'model'"
# Instants are kept as text of UTC, which begins with the day.
_DAY = "substr(leased_at, 1, 10)"
_BY_DAY = f" GROUP BY {_DAY} ORDER BY {_DAY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Of which attempts a question is: made by `of_step`, `of_run`, `of_repository` or `among`."""

    source: str
    values: Mapping[str, str]


def of_step(step_id: str) -> Scope:
    """All attempts of the step."""
    return Scope(source="FROM attempts WHERE step_id = :step_id", values={"step_id": step_id})


def of_run(run_id: str) -> Scope:
    """All attempts of the run."""
    return Scope(source="FROM attempts WHERE run_id = :run_id", values={"run_id": run_id})


def of_repository(repository_id: str, *, since: datetime) -> Scope:
    """The attempts of the repository that began since then."""
    return Scope(
        source="FROM attempts WHERE repository_id = :repository_id AND leased_at >= :since",
        values={"repository_id": repository_id, "since": instants.instant_text(since)},
    )


def among(positions: Sequence[int]) -> Scope:
    """The attempts at these places in the record."""
    return Scope(
        source="FROM attempts WHERE position IN (SELECT value FROM json_each(:positions))",
        values={"positions": json.dumps(list(positions))},
    )


def spent(conn: Connection, scope: Scope, *, now: datetime) -> Spent:
    """What these attempts have used; one at work counts with its time so far."""
    return _read(conn.execute(f"SELECT {_SUMS} {scope.source}", _at(scope, now)).fetchone())


def spent_by(conn: Connection, scope: Scope, *, now: datetime) -> tuple[SpentBy, ...]:
    """The same for each executor and model."""
    rows = conn.execute(f"SELECT executor, usage ->> 'model' AS model, {_SUMS} {scope.source} {_BY}", _at(scope, now))
    return tuple(SpentBy(executor=row["executor"], model=row["model"], spent=_read(row)) for row in rows)


def spent_on(conn: Connection, scope: Scope, *, now: datetime) -> tuple[SpentOn, ...]:
    """The same for each day on which an attempt began."""
    rows = conn.execute(f"SELECT {_DAY} AS day, {_SUMS} {scope.source} {_BY_DAY}", _at(scope, now))
    return tuple(SpentOn(day=date.fromisoformat(row["day"]), spent=_read(row)) for row in rows)


def working(conn: Connection, scope: Scope) -> tuple[Working, ...]:
    """Those of these attempts that are at work."""
    at_work = "started_at IS NOT NULL AND ended_at IS NULL"
    rows = conn.execute(f"SELECT attempt_id, exited_at IS NULL AS is_timed {scope.source} AND {at_work}", scope.values)
    return tuple(Working(attempt_id=ids.AttemptId(row["attempt_id"]), is_timed=bool(row["is_timed"])) for row in rows)


def attempts_after(conn: Connection, run_id: str, position: int) -> list[int]:
    """The places in the record of the run's attempts that came after that place."""
    rows = conn.execute(_ALL if position == 0 else _NEWER, (run_id, position))
    return [row["position"] for row in rows]


def attempts_ended(conn: Connection, positions: Sequence[int]) -> frozenset[int]:
    """Those of the attempts that have ended: what they have used is all on record."""
    scope = among(positions)
    rows = conn.execute(f"SELECT position {scope.source} AND ended_at IS NOT NULL", scope.values)
    return frozenset(row["position"] for row in rows)


def spent_view(total: Spent) -> usage_messages.SpentView:
    """The sum as everybody sees it."""
    return usage_messages.SpentView(
        attempts=total.attempts,
        unreported=total.unreported,
        partial=total.partial,
        input_tokens=total.input_tokens,
        cached_input_tokens=total.cached_input_tokens,
        output_tokens=total.output_tokens,
        cost_usd=total.cost_usd,
        duration_ms=total.duration_ms,
    )


def _at(scope: Scope, now: datetime) -> dict[str, str]:
    return {**scope.values, "now": instants.instant_text(now)}


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
