"""The OpenAPI 3.1 document of `/api/v1`, made from the table of operations.

Pure. Tests: tests/unit/daemon/http_api/test_openapi.py.
"""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from local_daemon.http_api import routing
from local_daemon.protocol import errors, ids, version
from local_daemon.protocol.operations import OPERATIONS, PARAMETER_PREFIX, Operation

_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {
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


def document_render() -> bytes:
    """The document as JSON."""
    return json.dumps(document_build(), separators=(",", ":")).encode()


def document_build() -> dict[str, Any]:
    """The document as a dictionary."""
    _, definitions = models_json_schema([(model, mode) for model, mode in _models()], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS.values():
        paths.setdefault(routing.PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ropeway daemon", "version": version.__version__},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models() -> list[tuple[type[BaseModel], Any]]:
    requests = {operation.request for operation in OPERATIONS.values() if operation.request is not None}
    answers = {operation.response for operation in OPERATIONS.values()}
    return sorted(
        [(model, "validation") for model in requests] + [(model, "serialization") for model in answers],
        key=lambda pair: pair[0].__name__,
    )


def _operation(operation: Operation) -> dict[str, Any]:
    document: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.title,
        "description": operation.description,
        "parameters": [_path_parameter(name) for name in operation.parameters] + _query_parameters(operation),
        "responses": {
            str(operation.success_status): {"description": "the answer", "content": _content(operation)},
            "default": {
                "description": "a problem",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if operation.success_status != 200:
        document["responses"]["200"] = {"description": "it was there already", "content": _content(operation)}
    if operation.streams:
        document["responses"]["206"] = {"description": "a range", "content": _content(operation)}
    if operation.request is not None:
        schema = {"$ref": _REFERENCE.format(model=operation.request.__name__)}
        document["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return document


def _content(operation: Operation) -> dict[str, Any]:
    if operation.streams:
        return {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=operation.response.__name__)}}}


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": ids.pattern_for(PARAMETER_PREFIX[name])}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _inlined(field, definitions)}
        for name, field in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    return [_inlined(item, definitions) for item in schema] if isinstance(schema, list) else schema
