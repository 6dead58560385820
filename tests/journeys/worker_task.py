"""A task for the worker that makes a call: the worker has no socket, so the call crosses processes."""

from uuid import UUID

from django_q.tasks import async_task, result

from cloud.access.principals import system_principal
from cloud.dispatch.services import dispatch_operation_sync
from cloud.tenancy import selectors


def run_create(project_id: str) -> str:
    """Create a run on the project's machine; answers its id."""
    organization_id = selectors.organization_of_project(UUID(project_id))
    assert organization_id is not None
    answer = dispatch_operation_sync(
        principal=system_principal(organization_id, label="schedule"),
        operation_name="runs.create",
        project_id=project_id,
        parameters={},
        query={},
        body={"objective": "asked by the worker"},
    )
    assert answer.body is not None
    return str(answer.body["run"]["run_id"])


def enqueue(project_id: str) -> str:
    """Hand the task to the worker and wait for its result."""
    found = result(async_task("tests.journeys.worker_task.run_create", project_id), wait=30_000)
    assert isinstance(found, str), "the worker did not answer"
    return found
