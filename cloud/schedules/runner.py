"""Runs one declared task, alone, and records how it went.

Single-flight by an advisory lock of the database's session: it ends with the process, so a killed run blocks nobody.
The queue hands a task out again when its run was killed (its `retry` is beyond its `timeout`); what the killed one
committed stays, and the task, which is idempotent, does the rest. Called by django-q2's worker and `cloudctl task
run`. Tests: tests/integration/cloud/schedules/.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connection
from django.utils.module_loading import import_string

from cloud.schedules import declarations
from cloud.schedules.models import ScheduledTask, TaskOutcome
from cloud.tenancy import scope

_TOLD_CHARACTERS = 200

logger = logging.getLogger(__name__)


class UnknownTask(Exception):
    """No task of that name is declared; see `cloudctl task list`."""


def run(name: str) -> str | None:
    """Run a declared task now and say what it told; None: it runs elsewhere at this moment. Raises what it raises, and
    UnknownTask."""
    declared = declarations.DECLARATIONS.get(name)
    if declared is None:
        raise UnknownTask(name)
    with _alone(name) as is_alone:
        if not is_alone:
            logger.info("task runs elsewhere", extra={"event": "task.skipped", "task": name})
            return None
        _begin(name)
        start = time.monotonic()
        try:
            told = str(import_string(declared.func)())[:_TOLD_CHARACTERS]
        except Exception as error:
            _end(name, TaskOutcome.FAILED, type(error).__name__, time.monotonic() - start)
            raise
        _end(name, TaskOutcome.OK, told, time.monotonic() - start)
    return told


@contextmanager
def _alone(name: str) -> Iterator[bool]:
    key = f"ropeway-task:{name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        is_alone: bool = cursor.fetchone()[0]
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _begin(name: str) -> None:
    with scope.operator():
        row = ScheduledTask.objects.filter(name=name).first() or ScheduledTask(name=name)
        if row.outcome == TaskOutcome.RUNNING:
            # We hold its lock, so the one that began is no more.
            row.killed += 1
            logger.warning("task was killed and is taken up again", extra={"event": "task.taken_up", "task": name})
        row.outcome, row.started_at, row.runs = TaskOutcome.RUNNING, datetime.now(UTC), row.runs + 1
        row.ended_at = row.duration_ms = None
        row.save()


def _end(name: str, outcome: TaskOutcome, told: str, seconds: float) -> None:
    with scope.operator():
        row = ScheduledTask.objects.get(name=name)
        row.outcome, row.told, row.ended_at = outcome, told, datetime.now(UTC)
        row.duration_ms = round(seconds * 1000, 1)
        row.failures_in_a_row = row.failures_in_a_row + 1 if outcome is TaskOutcome.FAILED else 0
        row.save()
    logger.info(
        "task ended", extra={"event": "task.ended", "task": name, "outcome": outcome.value, "ms": row.duration_ms}
    )
