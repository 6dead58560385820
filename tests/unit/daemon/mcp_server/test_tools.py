"""Tools as they are listed, and what their refusals look like."""

from typing import Any

import jsonschema
import pytest

from local_daemon.mcp_server import server, tools
from local_daemon.protocol import errors
from local_daemon.protocol.operations import OPERATIONS
from tests.unit.daemon.operations.conftest import Desk, desk

__all__ = ["desk"]


def test_every_operation_is_a_tool() -> None:
    assert {tool["name"] for tool in tools.definitions()} == {each.tool_name for each in OPERATIONS.values()}


def test_no_two_fields_of_a_tool_share_a_name() -> None:
    for operation in OPERATIONS.values():
        names = [*operation.parameters, tools.KEY_ARGUMENT]
        for model in (operation.query, operation.request):
            names += list(model.model_fields) if model is not None else []
        assert len(set(names)) == len(names), operation.name


def test_a_tool_takes_a_key_where_it_changes_something() -> None:
    for operation, tool in zip(OPERATIONS.values(), tools.definitions(), strict=True):
        assert (tools.KEY_ARGUMENT in tool["inputSchema"]["properties"]) is operation.mutates


@pytest.mark.parametrize("name", ["steps.submit", "manifests.submit"])
async def test_a_tool_takes_nothing_that_its_schema_does_not_name(desk: Desk, name: str) -> None:
    operation = OPERATIONS[name]
    shown = next(tool for tool in tools.definitions() if tool["name"] == operation.tool_name)
    assert "provenance" not in shown["inputSchema"]["properties"]
    with pytest.raises(errors.InvalidRequest, match="does not take: provenance"):
        await tools.tool_call(desk.context, operation, {"provenance": None}, actor="planner")


def test_a_tool_says_whether_it_changes_anything() -> None:
    hints = {tool["name"]: tool["annotations"] for tool in tools.definitions()}
    assert hints["steps_get"]["readOnlyHint"]
    assert hints["steps_cancel"]["destructiveHint"]
    assert not hints["steps_submit"]["readOnlyHint"]


@pytest.mark.parametrize("tool", tools.definitions(), ids=lambda tool: tool["name"])
def test_a_refusal_fits_what_a_tool_is_said_to_answer_and_half_an_answer_does_not(tool: dict[str, Any]) -> None:
    """The official TypeScript client throws away whatever does not fit, an error's words included."""
    refusal = server.failed(errors.NotFound("No such run.", run_id="run_x"))
    jsonschema.Draft202012Validator.check_schema(tool["outputSchema"])
    jsonschema.validate(refusal["structuredContent"], tool["outputSchema"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, tool["outputSchema"])


def test_a_refusals_text_says_everything_to_who_reads_only_that() -> None:
    wrong = [{"field": "task.goal", "problem": "is missing"}]
    said = server.failed(errors.InvalidRequest("arguments: not valid", errors=wrong))["content"][0]["text"]
    assert said.startswith("invalid_request: arguments: not valid\n")
    assert '"task.goal"' in said and '"is missing"' in said
