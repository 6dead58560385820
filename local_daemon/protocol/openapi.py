"""How an operation of the table is described in OpenAPI 3.1: what the daemon's document and the cloud's have in common.

Pure. Each document adds its own paths, headers and what stands beside the table. Called by
`local_daemon.http_api.openapi` and `relay.openapi`. Tests: theirs.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from local_daemon.protocol import errors, ids
from local_daemon.protocol.operation import PARAMETER_PREFIX, Operation

REFERENCE = "#/components/schemas/{model}"
PROBLEM: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "enum": sorted(errors.TABLE)},
            "retryable": {"type": "boolean"},
            "retry_after_s": {"type": "number"},
            "attributes": {"type": "object"},
        },
    }
)
PROBLEMS: Mapping[str, Any] = MappingProxyType(
    {
        "default": {
            "description": "a problem",
            "content": {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}},
        }
    }
)


def schemas_of(operations: Collection[Operation]) -> dict[str, Any]:
    """Every model that they take or give, and the problem."""
    requests = {operation.request for operation in operations if operation.request is not None}
    answers = {operation.response for operation in operations}
    models: list[tuple[type[BaseModel], Any]] = sorted(
        [(model, "validation") for model in requests] + [(model, "serialization") for model in answers],
        key=lambda pair: pair[0].__name__,
    )
    _, definitions = models_json_schema(models, ref_template=REFERENCE)
    return {**definitions.get("$defs", {}), "Problem": dict(PROBLEM)}


def operation_described(operation: Operation, *, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """One method of one path, with all of its parameters."""
    content = _content(operation)
    document: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.title,
        "description": operation.description,
        "tags": [operation.name.partition(".")[0]],
        "parameters": parameters,
        "responses": {str(operation.success_status): {"description": "the answer", "content": content}, **PROBLEMS},
    }
    if operation.success_status != 200:
        document["responses"]["200"] = {"description": "it was there already", "content": content}
    if operation.streams:
        document["responses"]["206"] = {"description": "a range", "content": content}
    if operation.request is not None:
        schema = {"$ref": REFERENCE.format(model=operation.request.__name__)}
        document["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return document


def path_parameter(name: str) -> dict[str, Any]:
    """An id of the machine's in the path."""
    schema = {"type": "string", "pattern": ids.pattern_for(PARAMETER_PREFIX[name])}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def header_parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A header that may be sent."""
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


def range_header() -> dict[str, Any]:
    """What asks for a part of an artifact."""
    return header_parameter("Range", {"type": "string"}, "One range of bytes, as in RFC 9110.")


def query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    """The fields of a query's model."""
    if model is None:
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _inlined(field, definitions)}
        for name, field in schema["properties"].items()
    ]


def _content(operation: Operation) -> dict[str, Any]:
    if operation.streams:
        return {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=operation.response.__name__)}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    return [_inlined(item, definitions) for item in schema] if isinstance(schema, list) else schema
