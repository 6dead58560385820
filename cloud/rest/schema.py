"""The OpenAPI document: every endpoint as drf-spectacular finds it in the URLs, described from what it declares.

The messages' own JSON Schema is the schema (OpenAPI 3.1 is JSON Schema 2020-12), so nothing is said twice. Written to
docs/ by `make docs`, served at `openapi.json`. Tests: tests/integration/cloud/rest/test_openapi.py.
"""

import functools
from typing import Any

from django.urls import URLResolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from pydantic import BaseModel

from cloud.rest import paths, problems, versions
from cloud.rest.endpoints import Endpoint, IfMatch

_SCHEMAS = "#/components/schemas/{model}"
_BEARER = "bearer"
_IF_NONE_MATCH = "The ETag of an answer that the caller has: 304 while it would be the same."
_VERSION_TAG = {
    "description": "The version, for If-Match, and a digest of the answer, for If-None-Match.",
    "schema": {"type": "string", "pattern": '^"[0-9]+-[0-9a-f]{16}"$'},
}
_DIGEST_TAG = {
    "description": "A digest of the answer, for If-None-Match.",
    "schema": {"type": "string", "pattern": '^"[0-9a-f]{16}"$'},
}
_IF_MATCH = {
    IfMatch.HONOURED: "The ETag that was read: refused if the object changed since.",
    IfMatch.REQUIRED: "The ETag that was read, so that nobody's change is lost; `*` for whatever it is now.",
}
_REFUSALS = {
    400: "The request does not hold.",
    401: "No valid token.",
    403: "The token lacks the scope, or reaches less.",
    404: "No such object is visible to this token.",
    405: "Not by this method.",
    409: "The object's state does not allow this.",
    410: "Its time is over.",
    412: "It changed since it was read.",
    413: "The body is too long.",
    415: "The body is not JSON.",
    416: "Nothing lies in that range.",
    428: "Send If-Match.",
    429: "Too many calls, or a quota is used up.",
}
_FROM_MACHINE = {
    500: "An unexpected failure.",
    501: "The machine does not offer this.",
    502: "The executor refuses.",
    503: "The machine is not connected.",
    504: "No answer came in time.",
    507: "The machine's disk is full.",
}


class WarnedAbout(Exception):
    """The generator was in doubt about the document; what it printed says where."""


class RouteSchema(AutoSchema):
    """One endpoint's part of the document."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any]:
        """The operation of that method."""
        endpoint: Endpoint = self.view.endpoints[method.upper()]
        _kept(registry, _BEARER, {"type": "http", "scheme": "bearer"}, kind=ResolvedComponent.SECURITY_SCHEMA)
        operation: dict[str, Any] = {
            "operationId": endpoint.name.replace(".", "_"),
            "summary": endpoint.title,
            "description": endpoint.description,
            "tags": [endpoint.name.partition(".")[0]],
            "security": [{_BEARER: []}],
            "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint), *_headers(endpoint, registry)],
            "responses": _responses(endpoint, registry),
            "x-scope": endpoint.scope.value if endpoint.scope else None,
        }
        if endpoint.request is not None:
            operation["requestBody"] = {
                "required": any(field.is_required() for field in endpoint.request.model_fields.values()),
                "content": {"application/json": {"schema": _component(endpoint.request, registry)}},
            }
        return operation


def document_of(patterns: list[URLResolver]) -> dict[str, Any]:
    """The whole document of these URLs. Raises WarnedAbout."""
    GENERATOR_STATS.reset()
    generator: Any = SchemaGenerator(patterns=patterns)  # type: ignore[no-untyped-call]
    document: dict[str, Any] = generator.get_schema(request=None, public=True)
    if GENERATOR_STATS:
        raise WarnedAbout
    return document


def _component(model: type[BaseModel], registry: ComponentRegistry) -> dict[str, str]:
    schema, nested = _schema_of(model)
    for name, part in nested.items():
        _register(name, part, registry)
    return _register(model.__name__, schema, registry)


@functools.cache
def _schema_of(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A message's schema, and those of what it is made of, by name. Once: a problem is said in every operation."""
    schema = model.model_json_schema(ref_template=_SCHEMAS)
    return schema, schema.pop("$defs", {})


def _register(name: str, schema: dict[str, Any], registry: ComponentRegistry) -> dict[str, str]:
    known = registry._components.get((name, ResolvedComponent.SCHEMA))
    assert known is None or known.schema == schema, f"two messages are called {name}"
    return _kept(registry, name, schema, kind=ResolvedComponent.SCHEMA)


def _kept(registry: ComponentRegistry, name: str, schema: dict[str, Any], *, kind: str) -> dict[str, str]:
    """Said once, and referred to."""
    component: Any = ResolvedComponent(name=name, type=kind, object=name, schema=schema)  # type: ignore[no-untyped-call]
    registry.register_on_missing(component)
    return {"$ref": f"#/components/{kind}/{name}"}


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": paths.parameter_schema(name)}
        for name in paths.parameters_of(endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    schema = endpoint.query.model_json_schema()
    found = []
    for name, member in schema.get("properties", {}).items():
        flat = _flat(member, schema.get("$defs", {}))
        description = flat.pop("description", None)
        told = {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": flat}
        found.append({**told, "description": description} if description else told)
    return found


def _flat(member: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without references, and without null: what is not asked is left out of a query."""
    flat = {name: value for name, value in member.items() if name not in ("anyOf", "$ref", "title", "default")}
    options = [option for option in member.get("anyOf", [member]) if option.get("type") != "null"]
    for option in options:
        named = defs[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        flat |= {name: value for name, value in named.items() if name not in ("title", "anyOf", "default")}
    if member.get("default") is not None:
        flat["default"] = member["default"]
    return flat


def _headers(endpoint: Endpoint, registry: ComponentRegistry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if endpoint.is_read:
        header = _header("If-None-Match", _IF_NONE_MATCH, {"type": "string"})
        found.append(_kept(registry, "IfNoneMatch", header, kind=ResolvedComponent.PARAMETER))
    if endpoint.if_match is not IfMatch.IGNORED:
        is_required = endpoint.if_match is IfMatch.REQUIRED
        schema = {"type": "string", "pattern": r'^(\*|"[0-9]{1,9}(-[0-9a-f]{16})?")$'}
        found.append(_header("If-Match", _IF_MATCH[endpoint.if_match], schema, is_required=is_required))
    if endpoint.is_for_machine:
        key = {"type": "string", "pattern": r"^[!-~]{1,200}$"}
        found.append(_header("Idempotency-Key", "The same key and body have the same answer for a day.", key))
        prefer = {"type": "string", "enum": ["respond-async"]}
        found.append(_header("Prefer", "Answer 202 as soon as the call is durable.", prefer))
    return found


def _header(name: str, description: str, schema: dict[str, Any], *, is_required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": is_required, "description": description, "schema": schema}


def _responses(endpoint: Endpoint, registry: ComponentRegistry) -> dict[str, Any]:
    good: dict[str, Any] = {"description": endpoint.title}
    if endpoint.response is not None:
        good["content"] = {endpoint.media_type: {"schema": _component(endpoint.response, registry)}}
        has_version = versions.version_member(endpoint.response) is not None
        if has_version or endpoint.is_read:
            good["headers"] = {"ETag": _VERSION_TAG if has_version else _DIGEST_TAG}
    else:
        good["content"] = {endpoint.media_type: {"schema": {"type": "string"}}}
    if endpoint.tells:
        told = {name: {"description": says, "schema": {"type": "string"}} for name, says in endpoint.tells.items()}
        good["headers"] = {**good.get("headers", {}), **told}
    responses = {str(endpoint.status): good}
    if endpoint.is_read:
        same = {"description": "It is what the caller has."}
        responses["304"] = _kept(registry, "Unchanged", same, kind=ResolvedComponent.RESPONSE)
    if endpoint.is_for_machine:
        queued = {"schema": _component(problems.Queued, registry)}
        responses["202"] = {"description": "Durable, not answered yet.", "content": {"application/json": queued}}
    for status, description in _refusals(endpoint).items():
        responses[str(status)] = _refusal(status, description, registry)
    return dict(sorted(responses.items()))


def _refusal(status: int, description: str, registry: ComponentRegistry) -> dict[str, str]:
    """A refusal is the same everywhere."""
    content = {"application/problem+json": {"schema": _component(problems.Problem, registry)}}
    refusal = {"description": description, "content": content}
    return _kept(registry, f"Refused{status}", refusal, kind=ResolvedComponent.RESPONSE)


def _refusals(endpoint: Endpoint) -> dict[int, str]:
    codes = {400, 401, 429}
    if endpoint.scope is not None:
        codes.add(403)
    if endpoint.method != "GET":
        codes |= {404, 409, 413, 415}
    if "{" in endpoint.path or endpoint.query is not None:
        codes.add(404)
    if endpoint.if_match is not IfMatch.IGNORED:
        codes.add(412)
    if endpoint.if_match is IfMatch.REQUIRED:
        codes.add(428)
    if endpoint.is_for_machine or endpoint.method == "POST":
        codes.add(410)
    if endpoint.response is None:
        codes.add(416)
    told = {code: _REFUSALS[code] for code in sorted(codes)}
    return {**told, **_FROM_MACHINE} if endpoint.is_for_machine else told
