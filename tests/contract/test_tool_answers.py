"""What a tool answers is what it said it would: every tool, for whatever fits its operation's response."""

import asyncio
import functools
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from cloud.mcp.tools import cloud_tools
from cloud.operations.table import TABLE
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope
from relay.calls import Answer
from relay.mcp_server.tools import Origin, Tool, relay_tools
from relay.ports import Asked, PlannerAnswer

OPERATIONS: dict[str, Operation] = {
    **{operation.tool_name: operation for operation in REMOTE_OPERATIONS.values()},
    **{row.operation.tool_name: row.operation for row in TABLE.values()},
}
PROJECT = {"project_id": "0198c0de-0000-7000-8000-000000000001"}


class Anyone:
    """A caller."""

    id = "anyone"
    scopes = frozenset(Scope)


class Scripted:
    """A planner's way to what is asked; it answers what it was told to."""

    answer: Any = None

    async def call(self, _asked: Asked) -> PlannerAnswer:
        return PlannerAnswer(call_id="call", answer=Answer(status=200, body=self.answer))

    async def perform(self, _caller: Any, _operation: str, _arguments: Mapping[str, Any], **_more: Any) -> Any:
        return self.answer


PLANNER: Any = Scripted()
TOOLS = {tool.definition.name: tool for tool in [*cloud_tools(PLANNER), *relay_tools(PLANNER)]}


def values_of(schema: dict[str, Any], named: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema, near enough: what a model refuses of them is not used."""
    match schema:
        case {"$ref": reference}:
            return st.deferred(lambda: values_of(named[reference.removeprefix("#/$defs/")], named))
        case {"anyOf": choices} | {"oneOf": choices}:
            return st.one_of([values_of(choice, named) for choice in choices])
        case {"const": value}:
            return st.just(value)
        case {"enum": members}:
            return st.sampled_from(members)
        case {"type": "object"}:
            return _objects_of(schema, named)
        case {"type": "array"}:
            return st.lists(values_of(schema.get("items", {}), named), min_size=schema.get("minItems", 0), max_size=2)
        case {"type": "string"}:
            return _texts_of(schema)
    return _plain_of(schema)


def _plain_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    least = schema.get("minimum", 0)
    plain: dict[str | None, st.SearchStrategy[Any]] = {
        "integer": st.integers(least, schema.get("maximum", 2**40)),
        "number": st.floats(least, schema.get("maximum", 1e6)),
        "boolean": st.booleans(),
        "null": st.none(),
        None: st.just("anything"),
    }
    return plain[schema.get("type")]


def _objects_of(schema: dict[str, Any], named: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    members = {name: values_of(one, named) for name, one in schema.get("properties", {}).items()}
    if not members:
        more = schema.get("additionalProperties")
        values = values_of(more, named) if isinstance(more, dict) else st.just(1)
        return st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2)
    required = {name: one for name, one in members.items() if name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional={name: members[name] for name in members.keys() - required.keys()})


def _texts_of(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
    return st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=10)


@functools.cache
def answers_of(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Answers as a machine, or the cloud, spells them."""
    schema = model.model_json_schema(mode="validation")

    def spelled(value: Any) -> Any:
        try:
            return model.model_validate(value).model_dump(mode="json")
        except ValidationError:
            reject()

    return values_of(schema, schema.get("$defs", {})).map(spelled)


@functools.cache
def listed_schema(name: str) -> Any:
    """The schema of a tool's answers, found once to be one: that takes longer than any answer."""
    schema = TOOLS[name].definition.output_schema
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS.keys())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_answer_fits_the_schema_that_the_tool_was_listed_with(tool: Tool, data: st.DataObject) -> None:
    PLANNER.answer = data.draw(answers_of(OPERATIONS[tool.definition.name].response))
    told = asyncio.run(tool.call(Origin(caller=Anyone()), PROJECT))
    listed_schema(tool.definition.name).validate(told)
