"""The worker's sign of life: a task each minute, and how long ago it was last done.

Scheduled by `cloud.schedules`; read by `readiness` and `figures`. Tests: tests/integration/cloud/health/test_worker.py.
"""

from datetime import UTC, datetime

from cloud.health.models import WorkerBeat
from cloud.tenancy import scope


def worker_beat() -> None:
    """Say that a worker works. Idempotent."""
    with scope.operator():
        WorkerBeat.objects.update_or_create(id=1, defaults={"at": datetime.now(UTC)})


def worker_beat_age_s() -> float | None:
    """How long ago that was; None before the first time."""
    with scope.operator():
        beat = WorkerBeat.objects.filter(id=1).first()
    return None if beat is None else max(0.0, (datetime.now(UTC) - beat.at).total_seconds())
