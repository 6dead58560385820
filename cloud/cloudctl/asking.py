"""The machine behind a run, a gate or a project, asked through the one funnel.

Called by `runs`, `gates` and `usage`. Tests: tests/journeys/test_cloudctl.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cloud.cloudctl import acting
from cloud.cloudctl.door import Door
from local_daemon.protocol import errors, faults

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a project's work is; `location` None: its only place."""

    door: Door
    project_id: str
    location: str | None

    def ask(
        self,
        operation: str,
        parameters: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """One operation's answer. Raises every error of the table."""
        answer: dict[str, Any] = self.door.machine(
            operation,
            project_id=self.project_id,
            location=self.location,
            parameters=parameters or {},
            query=query or {},
            body=body,
        )
        return answer

    def content(self, artifact_id: str) -> bytes:
        """An artifact's bytes."""
        return self.door.content(project_id=self.project_id, location=self.location, artifact_id=artifact_id)


def machine_of_project(door: Door, project_name: str, location: str | None) -> Machine:
    """Where that project is. Raises NotFound."""
    return Machine(door=door, project_id=acting.project_named(door, project_name), location=location)


def machine_of(door: Door, heard: Mapping[str, Any]) -> Machine:
    """Where a run or gate is, as the API told it."""
    return Machine(door=door, project_id=heard["project_id"], location=heard["location_id"])


def body_checked(model: type[M], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent, as its operation wants it. Raises InvalidRequest that names each field, before anybody is asked."""
    try:
        return model.model_validate(given).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise errors.InvalidRequest("What was given does not hold.", errors=faults.field_faults(error)) from None
