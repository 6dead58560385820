"""The OpenAPI 3.1 document of /api/v2, made from the table of operations: what machines are asked, through the cloud.

What is beside the table (which projects there are, what came of a call) is described here by hand. Pure; ADR 0017 says
why this surface has a document of its own. Called by `http` and `make docs`. Tests:
tests/integration/cloud/relay/test_openapi.py.
"""

import json
from collections.abc import Callable
from typing import Any

from local_daemon.protocol import ids, openapi, version
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import REMOTE_OPERATIONS

PATH = "/api/v2/openapi.json"
_DESCRIPTION = (
    "Machines, asked through the cloud: every operation of the table, below the project that its repository is in. Who "
    "may ask, and what else the cloud knows, is /api/cloud/v1's. Lists are paged: `next_cursor` of an answer is the "
    "`cursor` of the next request, null after the last. Errors are problems (RFC 9457) with a `code` of their own."
)
_PROJECT = {"name": "project_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_LOCATION = {
    "name": "location",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "Which place of the project, where it is in several.",
}
_CALL = {"name": "call_id", "in": "path", "required": True}
_LATER = {
    "description": "the call is durable; `GET /api/v2/calls/{call_id}` tells what came of it",
    "content": {"application/json": {"schema": {"$ref": openapi.REFERENCE.format(model="QueuedCall")}}},
}
_MOMENT = {"type": "string", "format": "date-time"}
_CALL_FACTS = {"call_id": {"type": "string"}, "state": {"type": "string"}, "deadline_at": _MOMENT}
_BY_HAND: dict[str, Any] = {
    "QueuedCall": {"type": "object", "required": list(_CALL_FACTS), "properties": _CALL_FACTS},
    "CallState": {
        "type": "object",
        "description": "A call; once it has ended with the `status` and `body`, or `problem`, that it ended with.",
        "required": [*_CALL_FACTS, "operation", "accepted_at", "ended_at"],
        "properties": {
            **_CALL_FACTS,
            "operation": {"type": "string"},
            "accepted_at": _MOMENT,
            "ended_at": {**_MOMENT, "type": ["string", "null"]},
            "status": {"type": "integer"},
            "body": {},
            "problem": {"$ref": openapi.REFERENCE.format(model="Problem")},
        },
    },
    "Projects": {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["project_id"],
                    "properties": {"project_id": {"type": "string"}},
                },
            }
        },
    },
}


def document_render(path_of: Callable[[Operation], str]) -> bytes:
    """The document as JSON. `path_of`: where an operation stands."""
    return json.dumps(document_build(path_of), indent=1, sort_keys=True).encode() + b"\n"


def document_build(path_of: Callable[[Operation], str]) -> dict[str, Any]:
    """The document as a dictionary."""
    paths: dict[str, dict[str, Any]] = _beside_the_table()
    for operation in REMOTE_OPERATIONS.values():
        paths.setdefault(path_of(operation), {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ropeway machines", "version": version.__version__, "description": _DESCRIPTION},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": {**openapi.schemas_of(REMOTE_OPERATIONS.values()), **_BY_HAND},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token of the cloud."}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    parameters = [_PROJECT, *(openapi.path_parameter(name) for name in _below_a_project(operation)), _LOCATION]
    parameters += openapi.query_parameters(operation.query) + _header_parameters(operation)
    document = openapi.operation_described(operation, parameters=parameters)
    document["responses"]["202"] = _LATER
    return document


def _below_a_project(operation: Operation) -> list[str]:
    """The project stands for the repository it is in."""
    return [name for name in operation.parameters if name != "repository_id"]


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        openapi.header_parameter(
            "Prefer", {"type": "string"}, "`respond-async`: answer as soon as the call is durable, also for a machine "
            "that is away.",
        ),
        openapi.header_parameter("traceparent", {"type": "string"}, "W3C trace context."),
    ]  # fmt: skip
    if operation.mutates:
        schema = {"type": "string", "maxLength": 200}
        said = "Calling again with the same key repeats the answer, not the effect, for 24 hours."
        found.append(openapi.header_parameter("Idempotency-Key", schema, said))
    return [*found, openapi.range_header()] if operation.streams else found


def _beside_the_table() -> dict[str, dict[str, Any]]:
    call_id = {**_CALL, "schema": {"type": "string", "pattern": ids.pattern_for(ids.IdPrefix.CALL)}}
    return {
        "/api/v2/projects": {"get": _read("projects.list", "Projects that this token reaches", "Projects")},
        "/api/v2/calls/{call_id}": {
            "get": _read("calls.get", "One of your own calls, and what came of it", "CallState", parameters=[call_id])
        },
    }


def _read(name: str, summary: str, model: str, *, parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": openapi.REFERENCE.format(model=model)}}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": [name.partition(".")[0]],
        "parameters": parameters or [],
        "responses": {"200": {"description": "the answer", "content": content}, **openapi.PROBLEMS},
    }
