"""What to ask each of the cloud's own tools for, so that nothing but permission can refuse it."""

from collections.abc import Mapping
from typing import Any

from cloud.operations.operation import CloudOperation
from cloud.operations.table import TABLE
from local_daemon.protocol import ids

TOOLS: Mapping[str, CloudOperation] = TABLE
SCHEDULE = {
    "name": "nightly",
    "objective": "Keep up.",
    "tasks": [{"goal": "Update the dependencies.", "executor": "codex"}],
    "cron": "0 3 * * *",
}


def arguments_of(name: str, **known: str) -> dict[str, Any]:
    """A tool's arguments; what it names is among `known`, or nowhere."""
    operation = TABLE[name].operation
    model = operation.request or operation.query
    fields = model.model_fields.items() if model else ()
    required = [field for field, facts in fields if facts.is_required()]
    if name == "schedules.create":
        required += SCHEDULE
    some = {**SCHEDULE, **dict.fromkeys(("connector_id", "schedule_id", "project_id"), str(ids.new_uuid7())), **known}
    return {field: some[field] for field in required}
