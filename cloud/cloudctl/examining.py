"""What `cloudctl doctor` looks at where the installation is: what `cloud.health` cannot see from its room.

Tests: tests/integration/cloud/cloudctl/test_doctor.py.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core import checks

from cloud.health import diagnosis
from cloud.health.findings import Finding, Level
from cloud.schedules import selectors
from cloud.schedules.models import TaskOutcome

_OVERDUE = timedelta(minutes=5)


def examine() -> Iterator[Finding]:
    """Everything; what rests on a database that does not answer is left out."""
    for finding in diagnosis.diagnose():
        yield finding
        if finding.name == "database" and finding.level is Level.FAIL:
            break
    else:
        yield _schedules()
    yield _settings()
    yield _static_files()


def _schedules() -> Finding:
    now = datetime.now(UTC)
    tasks = selectors.task_list()
    failing = [task.name for task in tasks if task.last and task.last.outcome == TaskOutcome.FAILED]
    late = [task.name for task in tasks if task.next_run_at is None or now - task.next_run_at > _OVERDUE]
    step = "`cloudctl task list` says when each ran; `cloudctl task run NAME` runs one now."
    if late:
        detail = f"overdue: {', '.join(late)}"
        return Finding(name="periodic work", level=Level.WARN, detail=detail, next_step=f"Does a worker run? {step}")
    if failing:
        detail = f"failed last time: {', '.join(failing)}"
        return Finding(name="periodic work", level=Level.WARN, detail=detail, next_step=step)
    return Finding(name="periodic work", level=Level.OK, detail=f"{len(tasks)} tasks, none late")


def _settings() -> Finding:
    """As `manage.py check --deploy`. A development installation is told, and not blamed."""
    found = checks.run_checks(include_deployment_checks=True)
    errors = [message for message in found if message.is_serious() and not message.is_silenced()]
    warnings = [message for message in found if not message.is_serious() and not message.is_silenced()]
    if errors:
        detail = f"{errors[0].id}: {errors[0].msg}"
        return Finding(name="settings", level=Level.FAIL, detail=detail, next_step=errors[0].hint or "Correct it.")
    if warnings:
        ids = ", ".join(sorted({message.id or "" for message in warnings}))
        step = "`manage.py check --deploy` says each; production settings raise none."
        return Finding(name="settings", level=Level.WARN, detail=ids, next_step=step)
    return Finding(name="settings", level=Level.OK, detail="`check --deploy` finds nothing")


def _static_files() -> Finding:
    root = settings.STATIC_ROOT
    if root is None:
        return Finding(name="static files", level=Level.OK, detail="served where they lie: a development installation")
    if not (Path(root) / "staticfiles.json").is_file():
        step = "`manage.py collectstatic --noinput`, with every release."
        return Finding(name="static files", level=Level.FAIL, detail=f"not collected in {root}", next_step=step)
    return Finding(name="static files", level=Level.OK, detail=f"collected in {root}")
