"""What work cost: attempts, tokens and money of the last days, from what machines reported of finished attempts.

Counted from the newest events of the feed at each call, so far back as one answer may take; deliberately no table of
its own (quotas have theirs, by token and day: `usage`). Callers open the organization's scope. Called by
`cloud.operations`. Tests: tests/integration/cloud/limits/test_costs.py.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection

from cloud.access import selectors as access
from cloud.access.principals import Grant, PrincipalKind
from cloud.tenancy import grants
from local_daemon.protocol.scopes import Scope

DAYS_MAX = 92
ROWS_MAX = 100
EVENTS_MAX = 50_000
"""How many events of the feed one answer looks at."""


class CostGroup(StrEnum):
    """By what cost is summed up."""

    PROJECT = "project"  # the cloud's projects
    RUN = "run"  # runs
    TOKEN = "token"  # noqa: S105 - a word; whose call began the run
    EXECUTOR = "executor"  # what did the work
    MODEL = "model"  # the model that it said it used


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What one of them used; `id` None: it is not known which, or not for the asker to know."""

    id: str | None
    name: str | None
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """The dearest first. Counted from `since` on, which is later than asked where there was too much."""

    rows: list[CostRow]
    since: datetime
    is_complete: bool


_NAMES = {
    CostGroup.PROJECT: "(SELECT p.name FROM tenancy_project p WHERE p.id::text = g.key)",
    CostGroup.RUN: "(SELECT max(s.title) FROM runs_runsnapshot s WHERE s.organization_id = %(organization)s"
    " AND s.run_id = g.key)",
    CostGroup.TOKEN: "(SELECT t.name FROM access_token t WHERE t.id::text = g.key)",
    CostGroup.EXECUTOR: "g.key",
    CostGroup.MODEL: "g.key",
}
_KEYS = {
    CostGroup.PROJECT: "project_id::text",
    CostGroup.RUN: "NULLIF(run_id, '')",
    # Tokens that the asker may not see are one row, without a name.
    CostGroup.TOKEN: "(SELECT CASE WHEN %(sees_all)s OR s.token_id = ANY(%(tokens)s::uuid[]) THEN s.token_id::text END"
    " FROM limits_runstart s WHERE s.organization_id = %(organization)s"
    " AND s.run_id = a.run_id AND s.run_id <> '' ORDER BY s.call_id LIMIT 1)",
    CostGroup.EXECUTOR: "attempt ->> 'executor'",
    CostGroup.MODEL: "attempt #>> '{usage,model}'",
}
# A number beyond reason counts as nothing, as it does for quotas.
_NUMBER = """CASE WHEN jsonb_typeof(attempt #> '{{usage,{name}}}') = 'number'
                   AND (attempt #>> '{{usage,{name}}}')::numeric BETWEEN 0 AND {largest}
                  THEN (attempt #>> '{{usage,{name}}}')::numeric END"""
_REPORT = """
    WITH feed AS (
        SELECT e.project_id, e.run_id, e.event_type, e.at, e.record #> '{{data,attempt}}' AS attempt
          FROM runs_runevent e
         WHERE e.organization_id = %(organization)s AND {within}
         ORDER BY e.id DESC LIMIT %(events)s
    ), attempts AS (
        SELECT {key} AS key, {input_tokens} AS input_tokens, {output_tokens} AS output_tokens, {cost} AS cost_usd
          FROM feed a
         WHERE event_type = 'attempt.changed' AND at >= %(since)s AND attempt ->> 'state' = 'recorded'
    ), g AS (
        SELECT key, count(*) AS attempts, COALESCE(sum(input_tokens), 0)::bigint AS input_tokens,
               COALESCE(sum(output_tokens), 0)::bigint AS output_tokens,
               COALESCE(sum(round(cost_usd * 1000000)), 0)::bigint AS cost_micros
          FROM attempts GROUP BY key
    )
    SELECT seen.events, seen.oldest, g.key, {name}, g.attempts, g.input_tokens, g.output_tokens, g.cost_micros
      FROM (SELECT count(*) AS events, min(at) AS oldest FROM feed) AS seen
      LEFT JOIN g ON true
     ORDER BY g.cost_micros DESC, g.attempts DESC, g.key LIMIT %(rows)s
"""


@grants.needs(Scope.USAGE_READ)
def cost_report(*, grant: Grant, by: CostGroup, project_id: UUID | None, days: int) -> CostReport:
    """What attempts that ended in the last `days` used, within the grant's reach; one query, and one for the tokens of
    who may not see all of them."""
    since = datetime.now(UTC) - timedelta(days=min(days, DAYS_MAX))
    wanted: dict[str, Any] = {
        "organization": grant.organization_id,
        "projects": [project_id] if project_id is not None else list(grant.principal.project_ids or ()),
        "events": EVENTS_MAX,
        "rows": ROWS_MAX,
        "since": since,
        **_tokens_seen(grant),
    }
    is_everything = project_id is None and grants.reaches_everything(grant.principal)
    with connection.cursor() as cursor:
        cursor.execute(_statement(by, "true" if is_everything else "e.project_id = ANY(%(projects)s)"), wanted)
        found = cursor.fetchall()
    events, oldest = found[0][:2]
    is_complete = events < EVENTS_MAX or oldest <= since
    return CostReport(
        rows=[
            CostRow(id=key, name=name, attempts=n, input_tokens=read, output_tokens=written, cost_micros=cost)
            for _, _, key, name, n, read, written, cost in found
            if n is not None
        ],
        since=since if is_complete else oldest,
        is_complete=is_complete,
    )


def _tokens_seen(grant: Grant) -> dict[str, Any]:
    """Whose use may be told from the others': as whoever lists tokens sees them, and always the asker's own."""
    who = grant.principal
    if Scope.TOKENS_READ not in who.scopes:
        return {"sees_all": False, "tokens": [who.id] if who.kind == PrincipalKind.TOKEN else []}
    if access.sees_all_tokens(who):
        return {"sees_all": True, "tokens": []}
    return {"sees_all": False, "tokens": list(access.tokens_within_reach(grant).values_list("id", flat=True))}


def _statement(by: CostGroup, within: str) -> str:
    # Texts of this module only; what was asked stands in the parameters.
    return _REPORT.format(
        within=within,
        key=_KEYS[by],
        name=_NAMES[by],
        input_tokens=_NUMBER.format(name="input_tokens", largest=10**12),
        output_tokens=_NUMBER.format(name="output_tokens", largest=10**12),
        cost=_NUMBER.format(name="cost_usd", largest=10**6),
    )
