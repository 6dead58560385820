"""Every remote operation is a tool and a path, and both can be read back into the same call."""

from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from cloud.config.planner import CloudPlanner
from cloud.mcp.tools import cloud_tools
from cloud.operations.operation import CloudOperation
from cloud.operations.table import TABLE
from cloud.permissions.matrix import PLANNER_SCOPES
from local_daemon.protocol import errors, limits
from local_daemon.protocol.operation import Audience, Operation
from local_daemon.protocol.operations import OPERATIONS, REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope
from relay import http
from relay.mcp_server import refusals
from relay.mcp_server.tools import Origin, asked_of, definition_of, described, relay_tools, untitle

EVERY = pytest.mark.parametrize("operation", REMOTE_OPERATIONS.values(), ids=REMOTE_OPERATIONS.keys())
RESERVED = {"project_id", "location", "idempotency_key"}


class Anyone:
    """A caller."""

    id = "anyone"
    scopes = frozenset(Scope)


@EVERY
def test_no_field_of_an_operation_is_taken_for_an_argument_of_the_tool_itself(operation: Operation) -> None:
    models = [model for model in (operation.query, operation.request) if model is not None]
    assert RESERVED.isdisjoint(name for model in models for name in model.model_fields)


@EVERY
def test_a_tool_takes_exactly_what_its_operation_does(operation: Operation) -> None:
    schema = definition_of(operation).input_schema
    fields = {*_fields(operation.query), *_fields(operation.request)}
    own = RESERVED if operation.mutates else RESERVED - {"idempotency_key"}
    assert set(schema["properties"]) == own | (set(operation.parameters) - {"repository_id"}) | fields
    assert set(schema["required"]) <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def _fields(model: type[BaseModel] | None) -> set[str]:
    """What a planner may say of it: all, but what only the command line of a machine tells."""
    return set() if model is None else set(model.model_fields) - {"provenance"}


@EVERY
def test_every_reference_in_a_schema_leads_somewhere(operation: Operation) -> None:
    tool = definition_of(operation)
    for schema in (tool.input_schema, tool.output_schema):
        assert schema is not None
        for name in _references(schema):
            assert name in schema["$defs"]


def test_a_refusal_fits_what_each_tool_is_said_to_answer_and_half_an_answer_does_not() -> None:
    """The official TypeScript client throws away whatever does not fit, a refusal's words included."""
    refusal = {"error": refusals.facts(errors.NotFound("No such run.", run_id="run_x"))}
    planner = CloudPlanner()
    for tool in [*cloud_tools(planner), *relay_tools(planner)]:
        schema = tool.definition.output_schema
        assert schema is not None
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(refusal, schema)
        assert schema["anyOf"][0]["required"] == [] or not jsonschema.Draft202012Validator(schema).is_valid({})


def test_a_field_called_title_stays_and_a_title_that_says_nothing_goes() -> None:
    schema = {
        "title": "Run",
        "properties": {"title": {"title": "Title", "type": "string"}, "of": {"anyOf": [{"title": "Of"}]}},
        "$defs": {"One": {"title": "One", "enum": [{"title": "kept"}]}},
    }
    untitle(schema)
    assert schema == {
        "properties": {"title": {"type": "string"}, "of": {"anyOf": [{}]}},
        "$defs": {"One": {"enum": [{"title": "kept"}]}},
    }


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].removeprefix("#/$defs/")} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(member) for member in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(member) for member in value))
    return set()


@EVERY
def test_hints_say_what_the_table_says(operation: Operation) -> None:
    hints = definition_of(operation).annotations
    assert hints is not None
    assert hints.read_only_hint is not operation.mutates
    assert hints.destructive_hint is operation.is_destructive


@EVERY
def test_a_tools_flat_arguments_become_parameters_query_and_body(operation: Operation) -> None:
    parameters = {name: f"value of {name}" for name in operation.parameters if name != "repository_id"}
    query = dict.fromkeys(_fields(operation.query), 1)
    body = dict.fromkeys(_fields(operation.request), 2)
    asked = asked_of(operation, Origin(caller=Anyone()), {"project_id": "p", **parameters, **query, **body})
    assert asked.parameters == parameters
    assert asked.query == query
    assert asked.body == (body if operation.request else None)


@EVERY
@pytest.mark.parametrize("name", ["repository_id", "provenance"])
def test_a_tool_names_what_it_does_not_take(operation: Operation, name: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=name):
        asked_of(operation, Origin(caller=Anyone()), {"project_id": "p", name: {}})


@EVERY
def test_a_path_leads_back_to_its_operation(operation: Operation) -> None:
    below = http.path_of(operation).removeprefix("/api/v2/projects/{project_id}/").split("/")
    found, parameters = http._found(operation.method, below)
    assert found is operation
    assert set(parameters) == set(operation.parameters) - {"repository_id"}


@pytest.mark.parametrize("operation", [row for row in OPERATIONS.values() if row.audience is Audience.OPERATOR])
def test_what_is_for_the_operator_has_no_path_here(operation: Operation) -> None:
    below = operation.path.strip("/").split("/")
    with pytest.raises(errors.NotFound):
        http._found(operation.method, below)


def test_content_is_asked_for_in_pieces() -> None:
    asked = asked_of(REMOTE_OPERATIONS["artifacts.content"], Origin(caller=Anyone()), {"project_id": "p"})
    assert asked.query["length"] == 256 * limits.KIB


def test_no_tool_of_the_cloud_has_a_machines_name() -> None:
    names = [row.operation.tool_name for row in TABLE.values()]
    machines = [operation.tool_name for operation in REMOTE_OPERATIONS.values()]
    assert len(set(names) | set(machines)) == len(names) + len(machines)


CLOUD = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


@CLOUD
def test_a_tool_of_the_cloud_says_what_it_takes_gives_and_does(row: CloudOperation) -> None:
    tool = described(row.operation, {}, [], is_repeatable=row.is_repeatable)
    assert tool.title and tool.description
    for schema in (tool.input_schema, tool.output_schema):
        assert schema is not None and schema["type"] == "object"
        assert _references(schema) <= set(schema.get("$defs", {}))
    assert tool.input_schema["additionalProperties"] is False
    hints = tool.annotations
    assert hints is not None
    assert hints.read_only_hint is not row.operation.mutates
    assert hints.destructive_hint is row.operation.is_destructive
    assert hints.idempotent_hint is (row.is_repeatable or not row.operation.mutates)


def test_a_program_that_reads_untrusted_text_administers_nothing() -> None:
    assert {row.operation.scope for row in TABLE.values()} <= PLANNER_SCOPES
    shown = {tool.definition.name for tool in cloud_tools(CloudPlanner())}
    assert shown == {row.operation.tool_name for row in TABLE.values()}


def test_the_list_of_tools_is_no_longer_than_a_planner_can_carry() -> None:
    """Each planner reads the whole list, each time."""
    planner = CloudPlanner()
    listed = [tool.definition for tool in [*cloud_tools(planner), *relay_tools(planner)]]
    assert sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in listed) < 200_000
