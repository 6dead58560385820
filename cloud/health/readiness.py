"""Whether this process can serve: its database, its schema, its own loops.

Deliberately not whether a worker works: it is shown, but one that does not would otherwise take every serving process
out of rotation with it. No fact names a tenant. Called by `probes`. Tests:
tests/integration/cloud/health/test_probes.py.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader

from cloud.health import worker
from cloud.metrics import beats
from cloud.metrics.beats import Loop
from cloud.tenancy import scope

SWEEP_S_MAX = 60.0
WORKER_S_MAX = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was found. `checks` says "ok", or what is the matter; `is_ready` leaves out what is only shown."""

    is_ready: bool
    checks: dict[str, str]


class _Schema:
    """Whether the migrations of this code are applied: true once, true for good."""

    is_applied = False


def readiness(ended_loops: Callable[[], Iterable[str]]) -> Readiness:
    """Look. Blocking; `ended_loops` names those of this process that should go on and do not."""
    checks = {"loops": _loops(list(ended_loops())), "sweeper": _sweeper()}
    try:
        checks["migrations"] = _migrations()
        checks["database"] = "ok"
        shown = _worker()
    except Error:
        # Not which error: it names hosts.
        checks["database"] = "unreachable"
        shown = "unknown"
    is_ready = all(said == "ok" for said in checks.values())
    return Readiness(is_ready=is_ready, checks={**checks, "worker": shown})


def _loops(ended: list[str]) -> str:
    return "ok" if not ended else f"ended: {', '.join(sorted(ended))}"


def _sweeper() -> str:
    age_s = beats.age_s(Loop.SWEEPER)
    if age_s is None:
        return "not yet"
    return "ok" if age_s < SWEEP_S_MAX else "late"


def _migrations() -> str:
    with scope.operator(), connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    if not _Schema.is_applied:
        # Migrations that newer code applied are no matter: docs/adr/0011.
        _Schema.is_applied = set(MigrationLoader(None).graph.leaf_nodes()) <= applied
    return "ok" if _Schema.is_applied else "missing"


def _worker() -> str:
    age_s = worker.worker_beat_age_s()
    if age_s is None:
        return "not yet"
    return "ok" if age_s < WORKER_S_MAX else "late"
